"""LFW at 64×64 for a computer without a GPU."""
from configs import default


def get_config():
    config = default.get_config()
    config.data.dataset = "lfw"
    config.data.image_size = 64
    config.model.latent_size = 8
    config.model.generator.channels = 16
    config.model.discriminator.widths = (32, 64, 128, 256, 256)
    config.model.encoder.widths = (32, 64, 128, 256, 256)
    config.objective.regions = "worst"
    config.objective.beta = 4.0
    config.objective.lambda_z = 2.0
    config.optimizer.discriminator_learning_rate = 4e-4
    config.optimizer.mask_learning_rate = 2e-5
    config.train.batch_size = 8
    config.train.steps = 5000
    config.train.precision = "mixed_bfloat16"
    config.train.mask_average = 0.999
    return config
