"""Pictures and pages made from a run: a self-contained page, a comparison, a model card, one screen of a terminal.

Everything here takes plain data (`data.ReportData`) and gives text or figures; nothing reads a run, trains or predicts.
"""
