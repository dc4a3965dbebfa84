import files_doubles

files_doubles.install()
