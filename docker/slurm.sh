#!/usr/bin/env bash
# A sweep inside a Slurm allocation: Ray's head and workers, then the driver.
#
#   sbatch docker/slurm.sh sweeps/aug_pairs.yaml --gpus-per-trial 0.5
#
# Run it from the folder that all nodes share, in an environment with this package.
# Given again after the time limit or a preemption, the same line goes on from the records.
#SBATCH --job-name=clar-sweep
#SBATCH --nodes=2
#SBATCH --ntasks-per-node=1
#SBATCH --cpus-per-task=32
#SBATCH --gpus-per-node=8
#SBATCH --time=24:00:00
#SBATCH --requeue
# Two minutes before the end the batch script hears of it, and trials stop after their epoch.
# Longer epochs need a longer time here. On preemption it is sent only where slurm.conf says
# PreemptParameters=send_user_signal; elsewhere what came after the last checkpoints is lost.
#SBATCH --signal=B:TERM@120
set -euo pipefail

# A token of this job alone: other users of the nodes must not run code as you.
RAY_AUTH_TOKEN=$(od -An -N32 -tx1 /dev/urandom | tr -d ' \n')
export RAY_AUTH_TOKEN RAY_AUTH_MODE=token RAY_USAGE_STATS_ENABLED=0
export SRUN_CPUS_PER_TASK=$SLURM_CPUS_PER_TASK  # srun does not take it from sbatch

nodes=($(scontrol show hostnames "$SLURM_JOB_NODELIST"))
# Ports from the number of the job, so that two jobs on one node do not meet.
port=$((20000 + SLURM_JOB_ID % 10000))
address=${nodes[0]}:$port
ray=(ray start --block --object-store-memory=134217728)
per_node=(--num-cpus="$SLURM_CPUS_PER_TASK" --num-gpus="${SLURM_GPUS_ON_NODE:-0}")
steps=()

end() { kill "${steps[@]}" 2>/dev/null || true; wait; }
trap end EXIT

srun --overlap --nodes=1 --ntasks=1 --nodelist="${nodes[0]}" \
    "${ray[@]}" --head --port="$port" --ray-client-server-port="$((port + 10000))" "${per_node[@]}" & steps+=($!)
until ray health-check --address "$address" >/dev/null 2>&1; do
    kill -0 "${steps[0]}"  # the head has failed: so has the job
    sleep 1
done
for node in "${nodes[@]:1}"; do
    srun --overlap --nodes=1 --ntasks=1 --nodelist="$node" \
        "${ray[@]}" --address="$address" "${per_node[@]}" & steps+=($!)
done

# All nodes, or the first trials would crowd on those that came first.
count='import ray, sys; ray.init(sys.argv[1], logging_level="ERROR"); print(sum(node["Alive"] for node in ray.nodes()))'
until [[ $(python -c "$count" "$address" 2>/dev/null | tail -n 1) -ge ${#nodes[@]} ]]; do
    for step in "${steps[@]}"; do kill -0 "$step"; done  # a node that has failed never joins
    sleep 2
done

clar-sweep run "$@" --address "$address" & driver=$!
told=
trap 'told=yes; kill -TERM "$driver" 2>/dev/null' TERM INT
code=0
wait "$driver" || code=$?
if [ "$told" ]; then  # a signal ends `wait` before the driver has ended
    code=0
    wait "$driver" || code=$?
fi
exit "$code"
