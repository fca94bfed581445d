"""A Ray cluster of this machine in a process of its own, with nodes that can be lost.

Reads lines on stdin: a number kills the node that was started as that one and starts another in its
place; the end of the input ends the cluster. Prints the address once, then a line for each request.
"""

import sys

from ray.cluster_utils import Cluster


def main(num_nodes: int) -> None:
    """Hold the cluster until stdin ends."""
    cluster = Cluster(
        initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False}
    )
    nodes = [cluster.add_node(num_cpus=1) for _ in range(num_nodes)]
    cluster.wait_for_nodes()
    print(cluster.address, flush=True)
    try:
        for line in sys.stdin:
            number = int(line)
            cluster.remove_node(nodes[number], allow_graceful=False)
            print("killed", flush=True)
            nodes[number] = cluster.add_node(num_cpus=1)
            print("replaced", flush=True)
    finally:
        cluster.shutdown()  # type: ignore[no-untyped-call]  # Ray leaves it untyped


if __name__ == "__main__":
    main(num_nodes=int(sys.argv[1]))
