"""FTP, in clear, inside TLS from the first byte, or inside TLS from AUTH on."""
