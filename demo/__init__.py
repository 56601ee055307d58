"""The demo: all stages on an embedded Hub, with a zoo of tiny real generators, and with real photographs."""
