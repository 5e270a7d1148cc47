"""Starts the whole system on one machine: embedded servers, our processes, one supervisor.

It only starts processes and talks to them over their public doors; it imports nothing of the applications.
"""
