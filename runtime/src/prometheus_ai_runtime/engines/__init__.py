"""Engines: what executes a model. A model file and a load request enter; a loaded model leaves. They never see HTTP, queues or other models."""
