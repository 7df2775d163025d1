/** Answers an exchange, given what earlier stages found out. */
export type Handler<Exchange, Answer> = (exchange: Exchange) => Promise<Answer>

/**
 * One stage of a request's way through the gateway. It gets what the stages before it have found out, and hands on what
 * it adds; what the next one answers comes back through it. It may answer by itself, change an answer, or throw: then
 * `problems` answers.
 */
export type Stage<In, Out, Inner, Outer> = (next: Handler<Out, Inner>) => Handler<In, Outer>

/** Stages in a row. Each gets what it needs from one that stands before it: the compiler sees to that. */
export class Stages<In, Answer, Out, Inner> {
  readonly #wrap: (last: Handler<Out, Inner>) => Handler<In, Answer>

  private constructor(wrap: (last: Handler<Out, Inner>) => Handler<In, Answer>) {
    this.#wrap = wrap
  }

  static begin<Exchange, Answer>(): Stages<Exchange, Answer, Exchange, Answer> {
    return new Stages((last) => last)
  }

  through<NextOut, NextInner>(stage: Stage<Out, NextOut, NextInner, Inner>): Stages<In, Answer, NextOut, NextInner> {
    return new Stages((last) => this.#wrap(stage(last)))
  }

  to(last: Handler<Out, Inner>): Handler<In, Answer> {
    return this.#wrap(last)
  }
}

/** Notes on an exchange what a stage has found out. It is the same object all the way: there are many stages. */
export function note<Exchange extends object, Facts extends object>(
  exchange: Exchange,
  facts: Facts,
): Exchange & Facts {
  return Object.assign(exchange, facts)
}
