"""The evaluation set: made-up people by whom engines, prompts and models are judged: `python -m tests.evaluation`."""
