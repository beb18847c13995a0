-- List how many days lie in the default partition, for which no month has been made. For the administrator.
--
-- returns     danger text : a sentence

select
    pg_catalog.format(
        '%s days from %s to %s lie in no month of their own', count(*), min(date), max(date)
    ) as danger
from app.pattern_data_default
having count(*) > 0;
