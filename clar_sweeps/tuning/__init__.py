"""Running a sweep's missing trials: through Ray, or one after another in this process.

Ray is the executor; the records of the run folder are the truth. Each run computes what is
missing and hands only that on, so a run can be killed, repeated and extended.
"""
