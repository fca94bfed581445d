"""A whole sweep over the least it could take, beside other ways to run the same trials.

    python -m benchmarks.sweep --out benchmarks/results/sweep.json

The least is what all training and evaluation of that run took, shared out among the slots. Ours is
`clar-sweep run sweeps/quickstart.yaml` and `clar-sweep report`, told apart into its parts. The
others train the same configs with the same trainer, in as many slots, with as many threads each,
and evaluate the untrained encoder too: a function trainable of Ray Tune with a checkpoint an epoch,
joblib's loky (what Hydra's joblib launcher runs), and a shell loop with a process a trial; the last
two leave our records. All find the dataset prepared. On a machine with GPUs it still runs on CPUs.
"""
