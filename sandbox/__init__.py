"""A stateful, fault-injecting stand-in for Chapa, as a process of its own.

It keeps its own books, answers the documented API with its documented quirks, shows a hosted checkout page,
signs and repeats webhooks, and misbehaves on request. It imports nothing of the system that it serves, so
any merchant's code in any language can be developed against it. See README.md beside this file.
"""
