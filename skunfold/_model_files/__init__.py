"""What `skunfold.model_files` writes and reads: values as a tree, and checks of all of them."""
