-- Delete some of the rows whose windows are over, whosesoever they are.
--
-- returns    done boolean : always true

select true as done
from app.forget_limits();
