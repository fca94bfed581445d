"""How soon the commands answer, what evaluation costs, and how soon a trial goes on.

    python -m benchmarks.commands --out benchmarks/results/commands.json

Start-up: whole commands in processes of their own, beside an empty Python and the libraries that
the command line is made of. Evaluation: seconds of `Trainer.evaluate` over those of ten epochs of
`Trainer.train_epoch`, the paper's rhythm. Resumption: `clar-sweep train` of a trial that has a
checkpoint, from the start of its process until it trains, less what it takes in a process of its
own to import the trainer and torch.
"""
