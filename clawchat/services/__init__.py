"""What runs over streams: pure machines, a pair of ends each, that turn bytes into messages and back.

``preface`` names the service of a stream, ``framing`` cuts it into JSON objects. ``chat`` has the messages of the
chat, ``chat_hub`` the server's end and ``chat_client`` the client's; ``handover`` carries the next credential.
"""
