"""Generated textured objects on textured backgrounds, 32×32."""
from configs import default


def get_config():
    config = default.get_config()
    config.data.dataset = "shapes"
    config.data.image_size = 32
    config.model.latent_size = 8
    config.model.generator.channels = 16
    config.model.discriminator.widths = (16, 32, 64, 128)
    config.model.encoder.widths = (16, 32, 64, 128)
    config.objective.regions = "worst"
    config.train.batch_size = 16
    config.train.steps = 5000
    config.train.mask_average = 0.99
    config.optimizer.learning_rate = 2e-4
    config.optimizer.encoder_learning_rate = 2e-4
    config.optimizer.discriminator_learning_rate = 2e-4
    config.optimizer.mask_learning_rate = 5e-5
    return config
