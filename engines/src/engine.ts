import type { EngineName } from './url.ts'

/** One engine that Atoll runs on: how it gets here, and how it is started. Each is a module in `engines/`. */
export interface Engine {
  readonly name: EngineName
  /** Where `npm run engines` starts it. */
  readonly port: number
  /**
   * How many ports it takes, from its first one upwards. Only the first is for clients unless its URL says otherwise.
   */
  readonly ports: number
  /** How it is told to end in good order. */
  readonly stopSignal: NodeJS.Signals
  /** Finds its programs, or installs them. Throws with what to do if neither works. */
  install(): Promise<Program>
  /** Where it is reached at this port, with the rights of its administrator. */
  url(port: number): string
  /**
   * Which of its ports, counted from its first, is for a proxy, where clients go on to an address that the engine tells
   * them. Without it, the first.
   */
  readonly portForProxy?: number
  /** A question in its own protocol, to its first port, that only an engine in working order answers. */
  readonly probe: Probe
  /** Whether its folder holds what it must before it is ready, where an answer alone does not say so. */
  isSettled?(folder: string): Promise<boolean>
  /** Whether a member of a cluster knows all others. Asked when each of them is ready, before the cluster is. */
  hasJoined?(member: Member): Promise<boolean>
  /** What several of it share on one machine, and none of them may take along when it is killed. */
  readonly companion?: Engine
}

/** An engine whose programs are there. */
export interface Program {
  /** Writes its settings and, the first time, its empty data. May be called again on a folder with data. */
  prepare(place: Place): Promise<void>
  /** What runs it in the foreground. */
  command(place: Place): Command
}

export interface Place {
  /** For everything that it keeps. Its log is `engine.log` there. */
  readonly folder: string
  /** The first of its ports, on loopback. */
  readonly port: number
  /** Where clients reach it through a proxy. */
  readonly proxyPort?: number
  /** With whom it is a cluster. Alone without it. */
  readonly cluster?: Cluster
}

/** A place in a cluster. */
export interface Member extends Place {
  readonly cluster: Cluster
}

/** A cluster, all of it on this machine, as one of its members sees it. */
export interface Cluster {
  /** The first port of each member. */
  readonly ports: readonly number[]
  /** Which of them this one is. */
  readonly index: number
  /** The port of the companion, if it has one. */
  readonly companionPort: number
  /** By which members know each other. */
  readonly secret: string
}

export interface Command {
  readonly file: string
  readonly args: readonly string[]
  readonly env?: Readonly<Record<string, string>>
  /** As whom; as ourselves without it. */
  readonly user?: User
}

export interface User {
  readonly uid: number
  readonly gid: number
}

export interface Probe {
  readonly send: string | Buffer
  /** Whether what it answered so far says that it works. */
  accepts(answer: Buffer): boolean
}

/** An engine that runs, and what can be done to it. Calls to one engine are not for several callers at once. */
export interface RunningEngine {
  readonly name: EngineName
  /** With the rights of its administrator; the same for its whole life. */
  readonly url: string
  readonly host: string
  readonly port: number
  readonly folder: string
  /**
   * Resolves when it answers in its own protocol. Throws after a bound, or when it has ended, with the end of its log.
   */
  ready(): Promise<void>
  /** A crash: SIGKILL to all its processes at once. Resolves when none is left. */
  kill(): Promise<void>
  /** Stops it if it runs, starts it again on the same port and data, and resolves when it is ready. */
  restart(): Promise<void>
  /** Halts all its processes (SIGSTOP): connections stay open and nothing answers. */
  pause(): Promise<void>
  /** Lets a paused engine go on. */
  resume(): Promise<void>
  /** Ends it in good order; after a bound, as {@link kill} does. Its data stay. */
  stop(): Promise<void>
  /** Whether it was started and has not ended since. A paused engine runs. */
  readonly runs: boolean
}
