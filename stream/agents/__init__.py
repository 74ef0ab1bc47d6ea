"""The programs on the stream: observe and detect on the engine, act on Faust."""
