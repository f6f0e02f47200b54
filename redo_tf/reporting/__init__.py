"""What `redo_tf.report` is made of: facts about runs, markup, charts, the page."""
