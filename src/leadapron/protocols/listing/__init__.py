"""Folders that a web server lists to anyone who asks, and the files behind them."""
