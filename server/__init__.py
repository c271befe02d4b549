"""The server program: who may join, what joined clients do with each other, and what an operator sees.

``cli`` parses commands. ``run`` builds a server out of ``settings``, the ``home`` directory and the core, and
keeps it alive: ``invitations`` own the security files (``slots`` is their timetable), ``returning`` the
credentials that bring clients back, ``chat_service`` and ``handler`` the chat, ``requests`` the operator's
questions over the control socket, ``health`` the self-test, ``logs`` the log.
``relays`` is the server's membership of relays. The relay itself is ``relay_cli``, ``relay_run`` and
``relay_program``, with its credentials in ``relay_slots`` and its configuration in ``relay_settings``.
"""
