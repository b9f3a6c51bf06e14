-- Makes the indexes and keys again, and tells the planner what there is now.
do $$
declare
    one record;
begin
    for one in select command from put_back order by number desc loop
        execute one.command;
    end loop;
end
$$;
vacuum (analyze);
checkpoint;
