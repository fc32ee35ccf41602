-- +goose Up

-- The other databases have an index of some states alone from here on; this one knows none such.
SELECT 1;
