// Preloaded into a worker: shifts its clock by CLOCK_OFFSET_MS, like that of a host without time synchronization.
const offset = Number(process.env.CLOCK_OFFSET_MS ?? 0)
const RealDate = Date
globalThis.Date = class extends RealDate {
  constructor(...values) {
    if (values.length === 0) super(RealDate.now() + offset)
    else super(...values)
  }
  static now() {
    return RealDate.now() + offset
  }
}
