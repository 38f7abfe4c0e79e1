"""Image data sets: where they come from, how they are split, and the forms in which models take them.

Nothing but `dgmbench.data.views` imports torch; scikit-learn and torchvision wait until they are needed.
Nothing is re-exported here, so that a stage depends only on the modules that it uses.
"""
