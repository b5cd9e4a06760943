import { z } from 'zod'

/**
 * Recurring work. Each run derives what to do from PostgreSQL and the artifact store alone, so a run that is missed or
 * happens twice does no harm.
 */
export const SCHEDULES = [
  {
    name: 'housekeeping',
    title: 'Remove expired tickets and uploads without a job',
    /** Cron pattern and its time zone. */
    pattern: '*/10 * * * *',
    timeZone: 'America/Bogota',
  },
  {
    name: 'retention',
    title: 'Remove files and rows whose retention is over',
    pattern: '17 3 * * *',
    timeZone: 'America/Bogota',
  },
] as const

export type ScheduleName = (typeof SCHEDULES)[number]['name']
export const ScheduleName = z.enum(SCHEDULES.map((schedule) => schedule.name))

/** Name of the BullMQ queue that all schedules share; it sorts after the stages. */
export const SCHEDULE_QUEUE = '6-schedules'
