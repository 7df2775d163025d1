// One list of all planted bugs: what is planted is read beside what else is.

import type { Patch } from '../patches.ts'

/** A defect that is planted on purpose, to see whether anything notices. */
export interface PlantedBug {
  readonly name: string
  /** What is wrong then, as somebody would say who found it. */
  readonly defect: string
  /** Text of a module, and what stands there instead. */
  readonly changes: readonly Patch[]
  /** The simulation that is asked first, where another has nothing that it could break. */
  readonly first?: 'conduit' | 'desk' | 'restores'
  /** Of a bug that only few seeds find: through how many it is looked for at the least. */
  readonly seedsLeast?: number
  /** The test file that must fail. Without it, a simulation must. */
  readonly test?: string
}

const runtime = 'packages/atoll/src/runtime'
const reader = `${runtime}/subscription/partition-reader.ts`
const book = `${runtime}/subscription/cursor-book.ts`
const held = `${runtime}/subscription/held.ts`
const attempts = `${runtime}/subscription/attempts.ts`
const leases = `${runtime}/leases.ts`
const relay = `${runtime}/relay/relay.ts`
const streamReader = `${runtime}/subscription/stream-reader.ts`
const tidying = `${runtime}/relay/tidying.ts`
const writer = 'packages/store/src/drivers/sqlite/writer.ts'
const database = 'packages/sqlite/src/database.ts'

export const plantedBugs: readonly PlantedBug[] = [
  {
    name: 'answer-before-commit',
    defect: 'whoever writes is answered before the commit',
    changes: [
      {
        file: writer,
        find: 'group.written.push(write)\n',
        replace: 'group.written.push(write)\n    write.resolve(result)\n',
      },
    ],
  },
  {
    name: 'events-beside-the-transaction',
    defect: 'events are written in a transaction of their own, after the state',
    changes: [
      {
        file: `${runtime}/handling/transact.ts`,
        find: 'await outgoing.write(tx, frame.record !== undefined)',
        replace: '(void store.write((later) => outgoing.write(later, true)).catch(() => {}), emptyPosition)',
      },
    ],
  },
  {
    name: 'cursor-in-a-second-transaction',
    defect: 'the cursor moves after the effect has committed, and not with it',
    changes: [
      {
        file: reader,
        find: 'if (!this.#caution.isOn) return this.#attempts.run(subscriber, record, (tx) => this.#book.mark(tx, cursor, record, record.type))',
        replace:
          'if (!this.#caution.isOn) return this.#attempts.run(subscriber, record, () => {}).then(async () => { let later: object | undefined; await this.#ground.store.write(async (tx) => { later = tx.commit; await this.#book.check(tx); this.#book.mark(tx, cursor, record, record.type) }); this.#book.confirm(later) })',
      },
    ],
  },
  {
    name: 'cursor-passes-what-was-undone',
    defect: 'the cursor moves over an event whose transaction was undone, if others shared its commit',
    changes: [{ file: book, find: 'if (tx.undone) continue', replace: '' }],
  },
  {
    name: 'commit-on-top-of-one-that-failed',
    defect: 'a commit takes cursors to be where one before it had moved them that failed',
    test: 'packages/atoll/src/runtime/sharing.test.ts',
    changes: [
      {
        file: book,
        find: 'if (this.#unconfirmed !== undefined && this.#unconfirmed !== tx.commit) {',
        replace: 'if (false as boolean) {',
      },
    ],
  },
  {
    name: 'cursor-forgets-what-is-ahead',
    defect: 'what is handled beyond the cursor is not kept, and is handled again after a restart',
    changes: [
      {
        file: book,
        find: `const ahead = cursor.ahead.size === 0 ? '[]' : JSON.stringify(Array.from(cursor.ahead, ([number, { id }]) => [number, id]))`,
        replace: `const ahead = '[]'`,
      },
    ],
  },
  {
    name: 'no-fence',
    defect: 'an instance that was paused past its lease commits all the same',
    changes: [
      { file: book, find: 'if (lease?.epoch !== this.#epoch) throw this.#fenced()', replace: '' },
      { file: book, find: 'AND until = ? AND epoch = ?`', replace: 'AND until = ? AND ? > 0`' },
    ],
  },
  {
    name: 'lease-without-epoch',
    defect: 'a lease changes hands, and the epoch stays as it was',
    changes: [{ file: leases, find: '(row?.epoch ?? 0) + 1', replace: 'row?.epoch ?? 1' }],
  },
  {
    name: 'relay-does-not-wait',
    defect: 'the relay counts events as handed on before the log has them',
    changes: [
      {
        file: relay,
        find: 'await this.#log.append(this.#service, records)',
        replace: 'void this.#log.append(this.#service, records).catch(() => {})',
      },
    ],
  },
  {
    name: 'relay-tidies-too-much',
    defect: 'the relay deletes an event from the outbox that it has not handed on',
    changes: [{ file: relay, find: 'epoch, this.#relayedSeq, ()', replace: 'epoch, this.#relayedSeq + 1, ()' }],
  },
  {
    name: 'relay-orders-by-time',
    first: 'conduit',
    defect: 'the relay hands events on in the order of their time, which a clock can set back',
    changes: [
      {
        file: `${runtime}/relay/outbox.ts`,
        find: 'epoch = ?) ORDER BY seq LIMIT ?',
        replace: 'epoch = ?) ORDER BY at, seq LIMIT ?',
      },
    ],
  },
  {
    name: 'relay-forgets-its-numbers',
    defect: 'numbers are not noted, and are given again after a restart',
    changes: [
      {
        file: tidying,
        find: 'await tx.runEach(upsertStream, [...tails].map(([partition, { number, seq, id }]) => [partition, number, seq, id]))',
        replace: '',
      },
    ],
  },
  {
    name: 'relay-tidies-without-its-lease',
    defect: 'a relay that was paused past its lease tidies and counts what the next one has',
    changes: [{ file: tidying, find: 'await assertRelays(tx, service, epoch)', replace: '' }],
  },
  {
    name: 'retry-overtakes-its-key',
    defect: 'later events of a key are handled while an earlier one waits for its next try',
    changes: [
      {
        file: reader,
        find: 'if (this.#held.has(record.key)) await this.#hold(cursor, record, parked)',
        replace: 'if (false as boolean) await this.#hold(cursor, record, parked)',
      },
    ],
  },
  {
    name: 'reads-before-it-knows-what-is-held',
    defect: 'a reader reads what comes while its partition is being opened, before it knows what is held there',
    seedsLeast: 400,
    changes: [
      {
        file: reader,
        find: '    await this.#held.load(store.reader)\n    await this.#book.load(store.reader, events)\n',
        replace: '    await this.#book.load(store.reader, events)\n',
      },
      {
        file: reader,
        find: '    this.#isOpen = true\n    this.#caution.begin(this.#book.cursors)\n',
        replace:
          '    this.#caution.begin(this.#book.cursors)\n    await this.#held.load(store.reader)\n    this.#isOpen = true\n',
      },
      {
        file: reader,
        find: 'if (!this.#isOpen || this.#running || this.#stopping',
        replace: 'if (this.#running || this.#stopping',
      },
      { file: reader, find: 'return !this.#isOpen || !this.#held.isEmpty', replace: 'return !this.#held.isEmpty' },
    ],
  },
  {
    name: 'stopping-passes-over-what-is-noted',
    defect: 'a reader that stops passes over what it has noted, and handles what comes behind that',
    test: 'packages/testkit/src/world/noting.test.ts',
    changes: [
      {
        file: reader,
        find: 'await this.#attempts.note([record])\n          await this.#try(cursor, record)',
        replace:
          "await this.#attempts.note([record])\n          if (care !== 'noted' || !this.#isOver) await this.#try(cursor, record)",
      },
    ],
  },
  {
    name: 'held-outside-the-transaction',
    defect: 'the cursor moves over a failed event first, and the event is put aside in a second transaction',
    changes: [
      {
        file: reader,
        find: 'const held = await this.#attempts.hold(tx, record, wanted)\n        this.#book.mark(tx, cursor, record)\n        return held\n',
        replace:
          'this.#book.mark(tx, cursor, record)\n        return wanted\n      })\n      this.#book.confirm(commit)\n      reason = await this.#ground.store.write(async (tx) => {\n        commit = tx.commit\n        await this.#book.check(tx)\n        return this.#attempts.hold(tx, record, wanted)\n',
      },
    ],
  },
  {
    name: 'dead-letters-are-dropped',
    defect: 'an event whose tries are used up is dropped',
    changes: [
      {
        file: attempts,
        find: '  async #retry(event: HeldEvent): Promise<AtollError | undefined> {\n',
        replace:
          '  async #retry(event: HeldEvent): Promise<AtollError | undefined> {\n    if (event.attempts >= 3) return void (await this.#commit(async (tx) => this.#held.release(tx, event, 0)), this.#held.forget(event))\n',
      },
    ],
  },
  {
    name: 'failures-are-kept-as-they-are',
    defect: 'a failure whose text no store can keep is not recorded, so its try does not count',
    changes: [
      {
        file: `${runtime}/subscription/recorded-error.ts`,
        find: "return text.slice(0, charsMax).toWellFormed().replaceAll('\\0', '␀')",
        replace: 'return text.slice(0, charsMax)',
      },
    ],
  },
  {
    name: 'ends-are-nobodys-doing',
    defect: 'an event whose handler ends its process never uses up a try: every owner takes the one before for itself',
    test: 'packages/testkit/src/world/poison.test.ts',
    changes: [
      {
        file: leases,
        find: '(this.#own.get(partition) === row.epoch ? reopened : abandoned).push(partition)',
        replace: 'reopened.push(partition)',
      },
    ],
  },
  {
    name: 'batch-skips-failures',
    first: 'conduit',
    defect: 'a projection skips an event that it cannot apply',
    changes: [
      { file: `${runtime}/subscription/batch.ts`, find: 'await attempts.hold(tx, record, reason)', replace: 'reason' },
    ],
  },
  {
    name: 'next-in-line-is-not-revived',
    defect:
      'what is parked behind an event stays parked when that event has been handled, if the process ends just then',
    changes: [
      {
        file: held,
        find: 'await tx.run(reviveNext, [now, this.#subscription, this.#partition, event.key])',
        replace: '',
      },
    ],
    test: `${runtime}/subscription/retries.test.ts`,
  },
  {
    name: 'redrive-in-reverse',
    defect: 'what is held of a key is handled last to first',
    changes: [
      { file: held, find: 'AND key = ? ORDER BY seq LIMIT 1` }', replace: 'AND key = ? ORDER BY seq DESC LIMIT 1` }' },
    ],
  },
  {
    name: 'retries-are-forgotten',
    defect: 'events that wait for another try are not tried again after a restart',
    changes: [
      {
        file: held,
        find: 'for (const row of rows) this.note(row, row)',
        replace: "for (const row of rows) this.note(row, { ...row, state: 'parked' })",
      },
    ],
  },
  {
    name: 'parked-behind-nothing',
    defect:
      'an event that comes just as the last before it is handled is parked behind it all the same, and nobody comes for it',
    changes: [
      {
        file: held,
        find: "const mayGoOn = wanted.state === 'parked' && ",
        replace: 'const mayGoOn = (false as boolean) && ',
      },
    ],
    test: `${runtime}/subscription/retries.test.ts`,
  },
  {
    name: 'redriven-are-not-counted',
    defect: 'the ledger does not count events that were handled after they had been held',
    changes: [{ file: attempts, find: 'this.#book.count(tx, event.type)', replace: '' }],
  },
  {
    name: 'ledger-misses-the-outbox',
    defect: 'the ledger does not see events that are on their way to the log',
    changes: [
      {
        file: `${runtime}/admin/ledger.ts`,
        find: "if (row.kind === 'outbox' && row.partition === partition && place.isBefore(row.seq!)) pending.get(row.type)?.add(row.seq!)",
        replace: '',
      },
    ],
  },
  {
    name: 'timer-deleted-later',
    defect: 'a timer is deleted after its event has committed, and not with it',
    changes: [
      {
        file: `${runtime}/relay/timers.ts`,
        find: 'await tx.runEach(deleteTimer, rows.map((row) => [row.id]))',
        replace:
          'void this.#store.write((later) => later.runEach(deleteTimer, rows.map((row) => [row.id]))).catch(() => {})',
      },
    ],
    test: `${runtime}/relay/timers.test.ts`,
  },
  {
    name: 'cancelled-timers-stay',
    defect: 'a cancelled timer is still there',
    changes: [
      {
        file: `${runtime}/handling/outgoing.ts`,
        find: 'tx.run(deleteTimer, [timerId])',
        replace: 'Promise.resolve(1)',
      },
    ],
  },
  {
    name: 'cancel-always-says-yes',
    defect: 'whoever cancels a timer hears that it was still there, though it has rung',
    changes: [
      { file: `${runtime}/handling/outgoing.ts`, find: '.then((count) => count > 0)', replace: '.then(() => true)' },
    ],
  },
  {
    name: 'failed-work-stays',
    first: 'conduit',
    defect: 'what a transaction wrote before it failed stays, if others share its commit',
    changes: [
      {
        file: writer,
        find: '      this.#tx!.undo()\n',
        replace: '      try { this.#tx!.keep() } catch { this.#tx!.undo() }\n',
      },
    ],
  },
  {
    name: 'answers-recorded-apart',
    first: 'conduit',
    defect: 'the answer to an Idempotency-Key is not recorded with its command',
    changes: [
      {
        file: `${runtime}/command/operations.ts`,
        find: 'record: slot && ((tx, _, position) => slot.record(tx, { ...answer.given, position: mergePositions(handling.position, position) })),',
        replace: 'record: undefined,',
      },
    ],
  },
  {
    name: 'emits-what-is-read-otherwise',
    first: 'desk',
    defect: 'an event is emitted whose data no reader can read, or each reads otherwise',
    changes: [
      {
        file: `${runtime}/handling/envelope.ts`,
        find: "if (trust === 'as it is') return JSON.stringify(data)",
        replace: 'if (trust.length > 0) return JSON.stringify(data)',
      },
    ],
  },
  {
    name: 'answers-are-checked-after-the-commit',
    first: 'desk',
    defect: 'a command commits, and then is refused for its answer',
    changes: [
      {
        file: `${runtime}/command/operations.ts`,
        find: 'return answer.checkInTx(result)',
        replace:
          'try { return answer.checkInTx(result) } catch (error) { Object.assign(handling, { late: error }); return result }',
      },
      {
        file: `${runtime}/command/operations.ts`,
        find: 'await run(parts, operation, handling, answer, slot)\n',
        replace:
          "await run(parts, operation, handling, answer, slot)\n        if ('late' in handling) throw handling.late\n",
      },
    ],
  },
  {
    name: 'failures-after-the-commit-are-answered',
    first: 'desk',
    defect: 'a command commits, and then is answered with what its handler failed with after that',
    changes: [
      {
        file: `${runtime}/command/operations.ts`,
        find: 'if (!handling.committed) throw error\n',
        replace: 'throw error\n',
      },
    ],
  },
  {
    name: 'keys-are-for-what-is-parsed',
    first: 'desk',
    defect: 'an Idempotency-Key is held to what the schema made of what was sent',
    changes: [
      {
        file: `${runtime}/command/operations.ts`,
        find: '{ sentJson, parsed: input }',
        replace: '{ sentJson: toCanonicalJson(input), parsed: input }',
      },
    ],
  },
  {
    name: 'keys-of-strangers-are-shared',
    first: 'desk',
    defect: 'the Idempotency-Key of somebody whom nobody knows is in the way of all others whom nobody knows',
    changes: [
      {
        file: `${runtime}/command/answers.ts`,
        find: 'this.#isAnonymous = caller === undefined',
        replace: 'this.#isAnonymous = false',
      },
    ],
  },
  {
    name: 'guard-does-not-hold',
    defect:
      'a transaction commits without waiting for whether it may: its lease may have passed on, its command may be answered already',
    changes: [{ file: `${runtime}/handling/transact.ts`, find: 'if (guarded) await guarded', replace: '' }],
    test: `${runtime}/sharing.test.ts`,
  },
  {
    name: 'causal-reads-do-not-wait',
    first: 'conduit',
    defect: 'a causal query answers before its service has what its caller has seen',
    changes: [
      {
        file: `${runtime}/command/causal-reads.ts`,
        find: 'if (missing.length === 0 && maybeMissing.length === 0) return undefined',
        replace: 'if (missing.length >= 0 && maybeMissing.length >= 0) return undefined',
      },
    ],
  },
  {
    name: 'causal-reads-ignore-retries',
    first: 'conduit',
    defect: 'a causal query answers while an event that its caller has seen waits for another try',
    changes: [
      {
        file: reader,
        find: '(this.cursor(source)?.hasReached(order) ?? false) && !this.#held.isAwaited(source, order)',
        replace: 'this.cursor(source)?.hasReached(order) ?? false',
      },
    ],
  },
  {
    name: 'causal-reads-wait-for-the-last-alone',
    defect: 'a causal query does not wait for an event that is tried again, once its caller has caused a later one',
    changes: [{ file: `${runtime}/position.ts`, find: 'all.slice(0, ORDERS_MAX)', replace: 'all.slice(0, 1)' }],
    test: `${runtime}/command/operations.test.ts`,
  },
  {
    name: 'positions-are-believed',
    first: 'conduit',
    defect: 'a causal query waits for a position that its source never had, and fails',
    changes: [
      {
        file: `${runtime}/command/causal-reads.ts`,
        find: 'this.#missing = this.#missing.filter((place) => place.source !== source || this.#isKnown(place))',
        replace: '',
      },
    ],
  },
  {
    name: 'positions-are-not-asked-about',
    first: 'conduit',
    defect:
      'a place that is not known here is taken for one that its source never had, though another process has emitted it',
    changes: [
      {
        file: `${runtime}/command/causal-reads.ts`,
        find: 'while (!(await this.#sources.standing(source)!.ask())) if (this.#isOver) return',
        replace: '',
      },
    ],
  },
  {
    name: 'answers-rest-on-nothing',
    first: 'conduit',
    defect: 'a command that finds its work done already answers so, and its caller does not find it elsewhere',
    changes: [
      {
        file: `${runtime}/handling/transact.ts`,
        find: 'if (!outgoing.hasEvents && frame.restsOn) position = await frame.restsOn(tx)',
        replace: '',
      },
    ],
  },
  {
    name: 'gateway-forgets',
    first: 'conduit',
    defect: 'the gateway does not remember what its callers have seen',
    changes: [
      {
        file: 'packages/gateway/src/gateway/stages/positions.ts',
        find: "if (exchange.target.operation.kind === 'command') seen.remember(request, caller, dispatched.position)",
        replace: '',
      },
    ],
  },
  {
    name: 'forgotten-execute-is-handled',
    defect: 'an event counts as handled by a projection that built its write and forgot to execute it',
    changes: [
      { file: 'proof/src/bank/auditor.ts', find: '\n            .execute(),', replace: ',' },
      { file: attempts, find: '      assertExecuted(tx, returned)\n', replace: '' },
      {
        file: 'packages/testkit/src/world/sightings.ts',
        find: 'assertExecuted(undefined, returned)\n',
        replace: '',
      },
    ],
  },
  {
    name: 'forgotten-execute-commits',
    defect: 'a transaction commits though a write in it was built and not executed',
    changes: [{ file: `${runtime}/handling/transact.ts`, find: '      assertExecuted(tx, result)\n', replace: '' }],
    test: `${runtime}/handling/not-executed.test.ts`,
  },
  {
    name: 'cursors-do-not-know-their-event',
    first: 'restores',
    defect: 'a subscription reads on in whatever log it is given, where it stood in another',
    changes: [
      {
        file: streamReader,
        find: 'cursor.isProven ||= await isOfOneHistory(log, { subscription: name, source, partition: this.#partition, number, offset, id, previousOffset, furthest })',
        replace:
          'cursor.isProven ||= [log, name, source, number, offset, id, previousOffset, furthest, isOfOneHistory].length > 0',
      },
    ],
  },
  {
    name: 'cursors-forget-their-event',
    first: 'restores',
    defect: 'a cursor that moves does not keep which event it stands at',
    changes: [{ file: `${runtime}/subscription/cursor.ts`, find: 'this.id = place.id', replace: 'this.id = null' }],
  },
  {
    name: 'what-is-ahead-is-not-looked-for',
    defect:
      'a subscription that has handled more than the log has, ahead of its cursor, is ready until the log has grown that far',
    changes: [
      {
        file: `${runtime}/relay/history.ts`,
        find: 'if (furthest > number) assertReaches(',
        replace: 'if (furthest < 0) assertReaches(',
      },
    ],
    test: `${runtime}/relay/history.test.ts`,
  },
  {
    name: 'ledger-takes-any-history',
    first: 'restores',
    defect: 'the ledger balances although the log has other events than those that were handled',
    changes: [
      {
        file: `${runtime}/admin/ledger.ts`,
        find: 'const why = (pending.gap ?? (await reasonOf(row, emitter, log)))?.message',
        replace: 'const why = (await reasonOf(row, emitter, log))?.message',
      },
    ],
  },
  {
    name: 'what-is-ahead-is-not-known',
    defect: 'what was handled ahead of a cursor in another history counts as handled in this one',
    changes: [
      {
        file: streamReader,
        find: 'if (handled.id !== null) assertSame(',
        replace: 'if (false as boolean) assertSame(',
      },
    ],
    test: `${runtime}/relay/history.test.ts`,
  },
  {
    name: 'stores-do-not-know-their-log',
    first: 'restores',
    defect: 'a service whose store is older than the log goes on as if the log had nothing of it',
    changes: [
      {
        file: relay,
        find: '      else await assertStoreKnowsLog(this.#store, this.#log, this.#service, this.#options)\n',
        replace: '',
      },
    ],
  },
  {
    name: 'any-event-of-that-number-is-its-own',
    defect: 'a service takes a log of another history for its own if the numbers in it agree',
    changes: [
      {
        file: `${runtime}/relay/history.ts`,
        find: 'if (known === tail.id) continue',
        replace: 'if (known !== undefined) continue',
      },
    ],
    test: `${runtime}/relay/history.test.ts`,
  },
  {
    name: 'lost-numbers-are-given-again',
    defect: 'a source that was restored gives its next events numbers that a subscriber has handled others under',
    changes: [
      {
        file: `${runtime}/service/agreement.ts`,
        find: 'hasUsedUp = (await useUpNumbers(this.#source, this.#givenAtStart.get(passed.partition) ?? 0, subscription, passed)) || hasUsedUp',
        replace: 'hasUsedUp = [useUpNumbers, this.#givenAtStart, subscription, passed].length === 0',
      },
    ],
    test: 'packages/cli/src/restored.test.ts',
  },
  {
    name: 'synchronous-normal',
    defect: 'a store or log that is opened again does not sync its commits',
    changes: [
      {
        file: database,
        find: "database.pragma('synchronous = FULL')",
        replace: "database.pragma('synchronous = NORMAL')",
      },
      { file: database, find: "if (journal !== 'wal' || synchronous !== FULL) {", replace: "if (journal !== 'wal') {" },
    ],
    test: 'packages/store/src/drivers/sqlite/driver.test.ts',
  },
]
