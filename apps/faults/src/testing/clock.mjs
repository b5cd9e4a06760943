// Loaded into a worker before everything else: its clock is CLOCK_OFFSET_MS off, as that of a host without time service.
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
