// Segments raw pictures with an exported SavedModel, loaded as TF Serving loads it.
//
//   segment MODEL BATCH HEIGHT WIDTH < images.uint8 > masks.float32 labels.uint8, one after the other
//   segment MODEL FILE...            > the label PNG of each file, its length before it, uint64
#include <cstdint>
#include <fstream>
#include <iostream>
#include <iterator>
#include <string>
#include <vector>

#include "tensorflow/cc/saved_model/loader.h"
#include "tensorflow/core/public/session.h"

using tensorflow::Tensor;

static std::vector<Tensor> run(const tensorflow::SavedModelBundle& model, const std::string& name, const Tensor& input,
                               const std::vector<std::string>& outputs) {
  const auto& signature = model.meta_graph_def.signature_def().at(name);
  std::vector<std::string> fetched;
  for (const auto& output : outputs) fetched.push_back(signature.outputs().at(output).name());
  std::vector<Tensor> results;
  const auto status =
      model.session->Run({{signature.inputs().begin()->second.name(), input}}, fetched, {}, &results);
  if (!status.ok()) {
    std::cerr << status.ToString() << std::endl;
    exit(1);
  }
  return results;
}

int main(int argc, char** argv) {
  tensorflow::SavedModelBundle model;
  const auto status =
      tensorflow::LoadSavedModel({}, {}, argv[1], {"serve"}, &model);
  if (!status.ok()) {
    std::cerr << status.ToString() << std::endl;
    return 1;
  }
  if (argc == 5 && isdigit(argv[2][0])) {
    Tensor images(tensorflow::DT_UINT8, {atoi(argv[2]), atoi(argv[3]), atoi(argv[4]), 3});
    std::cin.read(static_cast<char*>(images.data()), images.NumElements());
    for (const auto& result : run(model, "serving_default", images, {"masks", "labels"}))
      std::cout.write(static_cast<const char*>(result.data()), result.TotalBytes());
    return 0;
  }
  Tensor files(tensorflow::DT_STRING, {argc - 2});
  for (int i = 2; i < argc; ++i) {
    std::ifstream file(argv[i], std::ios::binary);
    files.flat<tensorflow::tstring>()(i - 2) = std::string(std::istreambuf_iterator<char>(file), {});
  }
  const auto labels = run(model, "image_bytes", files, {"label_png_bytes"})[0];
  for (int i = 0; i < argc - 2; ++i) {
    const auto& png = labels.flat<tensorflow::tstring>()(i);
    const uint64_t length = png.size();
    std::cout.write(reinterpret_cast<const char*>(&length), sizeof length).write(png.data(), length);
  }
}
