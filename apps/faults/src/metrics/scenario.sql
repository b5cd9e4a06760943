-- The expected values of the metrics of the scenario, computed from the tables alone: metric, date, company, warehouse, value.
with
plant_days as (
  select fecha_contabilizacion as date,
    sum(cantidad)::numeric as pieces,
    sum(peso_neto) as weight,
    count(distinct maquina_id)::numeric as machines,
    percentile_cont(0.5) within group (order by peso_neto)::numeric as median_weight,
    (percentile_cont(0.9) within group (order by cantidad) filter (where turno in (1, 2)))::numeric as p90,
    count(*) filter (where cantidad > 20 and material is distinct from 'PVC')::numeric as large_lots,
    (array_agg(peso_neto order by cantidad, id))[1] as weight_of_smallest
  from fact_production group by 1
),
plant_windows as (
  select *,
    sum(pieces) over (order by date range between interval '6 days' preceding and current row) as pieces_7_days,
    sum(pieces) over (partition by date_trunc('month', date) order by date) as pieces_month
  from plant_days
),
plant as (
  select v.metric, d.date, null::text as company, null::text as warehouse, v.value
  from plant_windows d left join plant_days b on b.date = d.date - 7,
    lateral (values
      ('plant.pieces', d.pieces),
      ('plant.weight', d.weight),
      ('plant.machines', d.machines),
      ('plant.median_weight', d.median_weight),
      ('plant.p90_by_day', d.p90),
      ('plant.large_lots', d.large_lots),
      ('plant.weight_of_smallest', d.weight_of_smallest),
      ('plant.weight_per_piece', 1000 * d.weight / nullif(d.pieces, 0)),
      ('plant.pieces_7_days', d.pieces_7_days),
      ('plant.pieces_month', d.pieces_month),
      ('plant.pieces_change', d.pieces - b.pieces)
    ) as v(metric, value)
),
ordered as (
  select *, (timestamp at time zone 'America/Bogota')::date as date from order_detail
),
sales_days as (
  select date,
    count(*)::numeric as orders,
    sum(items_count)::numeric as items,
    count(*) filter (where order_type = 'B2B')::numeric as b2b,
    count(distinct customer_id)::numeric as customers
  from ordered group by 1
),
sales as (
  select v.metric, d.date, null::text as company, null::text as warehouse, v.value
  from sales_days d,
    lateral (values
      ('sales.orders', d.orders),
      ('sales.items', d.items),
      ('sales.b2b', d.b2b),
      ('sales.customers', d.customers),
      ('sales.items_per_order', d.items / nullif(d.orders, 0)),
      ('sales.b2b_share', 100 * d.b2b / nullif(d.orders, 0))
    ) as v(metric, value)
),
company_days as (
  select date, company, count(*)::numeric as orders, sum(items_count)::numeric as items from ordered group by 1, 2
),
-- Every company on every day on which some company has orders: sums over days continue on days without orders.
company_windows as (
  select date, company, o.orders, o.items,
    avg(o.orders) over five as orders_5_days,
    count(o.orders) over five as days_of_5,
    sum(o.items) over (partition by company, date_trunc('week', date) order by date) as items_week,
    count(o.items) over (partition by date) as companies_with_items
  from (select distinct date from company_days) d cross join (select distinct company from company_days) c
    left join company_days o using (date, company)
  window five as (partition by company order by date range between interval '4 days' preceding and current row)
),
company_trend as (
  select date, company, case when days_of_5 >= 2 then orders_5_days end as orders_5_days from company_windows
),
companies as (
  select v.metric, d.date, d.company, null::text as warehouse, v.value
  from company_windows d join company_trend t using (date, company)
    left join company_trend b on b.company = d.company and b.date = d.date - 3,
    lateral (values
      ('sales.company_orders', d.orders),
      ('sales.company_items', d.items),
      ('sales.company_orders_5_days', t.orders_5_days),
      ('sales.company_trend', t.orders_5_days / nullif(b.orders_5_days, 0)),
      ('sales.company_items_week', case when d.companies_with_items > 0 then d.items_week end)
    ) as v(metric, value)
),
warehouse_days as (
  select date, company, warehouse, count(*)::numeric as orders, max(items_count)::numeric as largest
  from ordered group by 1, 2, 3
),
warehouse_windows as (
  select date, company, warehouse, o.orders, o.largest,
    sum(o.orders) over (partition by company, warehouse
      order by date range between interval '2 days' preceding and current row) as orders_3_days
  from (select distinct date from warehouse_days) d
    cross join (select distinct company, warehouse from warehouse_days) c
    left join warehouse_days o using (date, company, warehouse)
),
warehouses as (
  select v.metric, d.date, d.company, d.warehouse, v.value
  from warehouse_windows d,
    lateral (values
      ('sales.warehouse_orders', d.orders),
      ('sales.warehouse_largest', d.largest),
      ('sales.warehouse_orders_3_days', d.orders_3_days),
      ('sales.warehouse_spare', d.orders_3_days - d.largest)
    ) as v(metric, value)
),
time_days as (
  select fecha as date,
    sum(coalesce(horas_ordinarias, 0) + coalesce(horas_extra, 0) + coalesce(horas_nocturnas, 0)
      + coalesce(horas_festivas, 0))::numeric as hours,
    count(distinct trabajador_codigo)::numeric as people,
    sum(horas_ordinarias) filter (where turno = 3)::numeric as third_shift,
    sum(horas_extra)::numeric as overtime
  from resumen_tarjeta group by 1
),
times as (
  select v.metric, d.date, null::text as company, null::text as warehouse, v.value
  from (select *, max(hours) over (partition by date_trunc('quarter', date) order by date) as busiest from time_days) d,
    lateral (values
      ('time.hours', d.hours),
      ('time.people', d.people),
      ('time.third_shift', d.third_shift),
      ('time.overtime', d.overtime),
      ('time.hours_per_person', d.hours / nullif(d.people, 0)),
      ('time.busiest_of_quarter', d.busiest)
    ) as v(metric, value)
),
works_days as (
  select date, p.pieces / nullif(t.hours, 0) as per_hour, p.pieces / nullif(s.items, 0) as per_item
  from plant_days p left join time_days t using (date) left join sales_days s using (date)
),
good_days as (
  select date, good, sum(good) over (order by date range between interval '4 days' preceding and current row) as of_5
  from (select date, (per_hour >= 3.5)::integer::numeric as good from works_days where per_hour is not null) d
),
indexes as (
  select date, index, sum(index) over (partition by date_trunc('month', date) order by date) as month
  from (
    select date, 2 * coalesce(per_hour, 0) + coalesce(per_item, 0) as index
    from works_days where per_hour is not null or per_item is not null
  ) d
),
growths as (
  select i.*, 100 * (i.month / nullif(b.month, 0) - 1) as growth
  from indexes i left join indexes b on b.date = i.date - 2
),
works as (
  select v.metric, d.date, null::text as company, null::text as warehouse, v.value
  from works_days d left join good_days g using (date) left join growths i using (date),
    lateral (values
      ('works.pieces_per_hour', d.per_hour),
      ('works.pieces_per_item', d.per_item),
      ('works.good_day', g.good),
      ('works.good_days_of_5', g.of_5),
      ('works.index', i.index),
      ('works.index_month', i.month),
      ('works.index_growth', i.growth),
      ('works.alarm', case when i.growth > g.of_5 then i.index when i.growth <= g.of_5 then 0 end)
    ) as v(metric, value)
)
select * from (
  select * from plant union all select * from sales union all select * from companies union all select * from warehouses
  union all select * from times union all select * from works
) wanted
where value is not null
