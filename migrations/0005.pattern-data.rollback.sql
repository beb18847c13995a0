set lock_timeout = '5s';
set statement_timeout = '1min';

drop procedure app.add_partitions(date, date);
drop table app.pattern_data;
