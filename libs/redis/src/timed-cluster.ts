import { Cluster, type Command } from 'ioredis';

type Stream = Parameters<Cluster['sendCommand']>[1];

/**
 * The driver's Cluster with a deadline for every command. The driver itself bounds a command only once a node has it: in the Cluster's
 * own line, where it waits while no node can be asked, it would wait as long as the cluster is down, and be run after that.
 */
export class TimedCluster extends Cluster {
  override sendCommand(command: Command, stream?: Stream, node?: unknown): unknown {
    // Out of that line, too late: its caller was told that it failed.
    if (command.isSettled) return command.promise;
    const ms = this.options.redisOptions?.commandTimeout;
    if (ms !== undefined) command.setTimeout(ms);
    return super.sendCommand(command, stream, node);
  }
}
