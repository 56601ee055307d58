"""The whole pipeline on an embedded Hub, with a zoo of tiny real generators and real photographs."""
