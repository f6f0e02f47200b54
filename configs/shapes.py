"""Generated textured objects on textured backgrounds at 32×32: learns in minutes on a CPU."""
from configs import default
from redo_tf.precision import fastest_on_cpu


def get_config():
    config = default.get_config()
    config.data.dataset = "shapes"
    config.data.image_size = 32
    config.model.latent_size = 8
    config.model.generator.channels = 16
    config.model.discriminator.widths = (32, 64, 128, 128)
    config.model.encoder.widths = (16, 32, 64, 128)
    config.objective.regions = "worst"
    config.objective.beta = 4.0
    config.optimizer.learning_rate = 2e-4
    config.optimizer.encoder_learning_rate = 2e-4
    config.optimizer.discriminator_learning_rate = 4e-4
    config.optimizer.mask_learning_rate = 2e-4
    config.train.batch_size = 16
    config.train.steps = 4000
    config.train.precision = fastest_on_cpu()
    config.train.mask_average = 0.99
    return config
