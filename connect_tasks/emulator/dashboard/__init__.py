"""The dashboard: pages made on the server, from values to HTML. No script but one line, nothing from elsewhere."""
