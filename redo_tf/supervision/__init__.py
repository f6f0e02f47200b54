"""What `redo_tf.supervised` is made of: which pictures are for what, the training, the figure."""
