"""A sweep that is disturbed at random must end as one that is left alone.

python -m benchmarks.chaos --rounds 100 --seed 0 --out benchmarks/results/chaos.json

Each sweep runs once undisturbed. Then copies of it run and are disturbed: processes are killed,
stopped and told to end, nodes are lost, files are cut, a small disk is filled; the same command is
given again until the sweep is finished. Its records are then compared with those of the undisturbed
run, bit for bit.

    sweeps.py     a dataset of tones, the sweeps, and the command that runs one
    stages.py     where a copy runs: this machine, without Ray, a cluster, a small disk
    running.py    a sweep under way: its commands, its trials, its processes
    processes.py  whose they are
    deeds.py      what is done to it; damage.py: to its files
    compare.py    what it left behind, against the undisturbed run
    rounds.py     which round does what; outcome.py: what came of it
    campaign.py   all rounds; result.py: the table
    __main__.py   the command
"""
