/**
 * How many works may share the next commit. Where a commit was refused over what they wrote, nobody knows whose doing
 * it was, so each is alone from then on. It was one work that was wrong, and not all that will ever come: after enough
 * commits that went well there may be two in one, then four, up to the limit.
 */
export class GroupSize {
  readonly #limit: number
  #worksMax: number
  /** Commits that went well since it last changed. */
  #commits = 0

  constructor(limit: number) {
    this.#limit = limit
    this.#worksMax = limit
  }

  get worksMax(): number {
    return this.#worksMax
  }

  committed(): void {
    if (this.#worksMax === this.#limit || ++this.#commits < COMMITS_BEFORE_MORE) return
    this.#commits = 0
    this.#worksMax = Math.min(this.#worksMax * 2, this.#limit)
  }

  /** A commit was refused over what was written in it. Also of a work that was alone: there may be more like it. */
  refused(): void {
    this.#commits = 0
    this.#worksMax = 1
  }
}

/** Each refusal costs those that share the commit another try, at the most one in so many. */
const COMMITS_BEFORE_MORE = 100
