"""The sandbox alone: engines, images and isolates. Usable without the server; imports nothing of it."""
