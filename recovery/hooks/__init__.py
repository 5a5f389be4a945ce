"""What makes the application's own connections say their epoch, and ask before they write."""
