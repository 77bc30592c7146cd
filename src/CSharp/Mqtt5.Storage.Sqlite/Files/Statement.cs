using SQLitePCL;

namespace Mqtt5.Storage.Files;

/// <summary>A prepared statement, by the interface of the library itself: nothing is allocated to run it.</summary>
internal sealed class Statement : IDisposable
{
    /// <summary>What a value is.</summary>
    public enum Kind
    {
        /// <summary>It is absent.</summary>
        Nothing,

        /// <summary>A whole number.</summary>
        Number,

        /// <summary>Text.</summary>
        Text,

        /// <summary>Bytes.</summary>
        Bytes,
    }

    private readonly Database database;
    private readonly sqlite3_stmt statement;

    /// <summary>Prepares a statement.</summary>
    public Statement(Database database, string sql)
    {
        this.database = database;

        if (raw.sqlite3_prepare_v2(database.Handle, sql, out statement) != raw.SQLITE_OK)
            throw database.Failure();
    }

    /// <summary>Sets a parameter, counted from 1.</summary>
    public Statement Bind(int index, long value)
    {
        Check(raw.sqlite3_bind_int64(statement, index, value));
        return this;
    }

    /// <summary>Sets a parameter, counted from 1; null: absent.</summary>
    public Statement Bind(int index, long? value)
    {
        Check(value is { } number ? raw.sqlite3_bind_int64(statement, index, number) : raw.sqlite3_bind_null(statement, index));
        return this;
    }

    /// <summary>Sets a parameter, counted from 1, to text in UTF-8.</summary>
    public Statement BindText(int index, ReadOnlySpan<byte> utf8)
    {
        Check(raw.sqlite3_bind_text(statement, index, utf8));
        return this;
    }

    /// <summary>Sets a parameter, counted from 1; null: absent.</summary>
    public Statement BindText(int index, string? text)
    {
        Check(text is null ? raw.sqlite3_bind_null(statement, index) : raw.sqlite3_bind_text(statement, index, text));
        return this;
    }

    /// <summary>Sets a parameter, counted from 1.</summary>
    public Statement BindBytes(int index, ReadOnlySpan<byte> bytes)
    {
        Check(bytes.IsEmpty ? raw.sqlite3_bind_zeroblob(statement, index, 0) : raw.sqlite3_bind_blob(statement, index, bytes));
        return this;
    }

    /// <summary>Goes to the next row; false: there is none.</summary>
    public bool Step()
    {
        switch (raw.sqlite3_step(statement))
        {
            case raw.SQLITE_ROW:
                return true;
            case raw.SQLITE_DONE:
                raw.sqlite3_reset(statement);
                return false;
            default:
                var failure = database.Failure();
                raw.sqlite3_reset(statement);
                throw failure;
        }
    }

    /// <summary>Runs a statement that has no rows.</summary>
    public void Run()
    {
        while (Step())
        {
        }
    }

    /// <summary>Ends the reading of rows, so that nothing of the file is held any more.</summary>
    public void Reset() => raw.sqlite3_reset(statement);

    /// <summary>A column of the row, counted from 0.</summary>
    public long Number(int column) => raw.sqlite3_column_int64(statement, column);

    /// <summary>A column of the row, counted from 0.</summary>
    public string Text(int column) => raw.sqlite3_column_text(statement, column).utf8_to_string() ?? "";

    /// <summary>A column of the row, counted from 0. The memory is valid until the next step.</summary>
    public ReadOnlySpan<byte> Bytes(int column) => raw.sqlite3_column_blob(statement, column);

    /// <summary>How many columns the rows have.</summary>
    public int Columns => raw.sqlite3_column_count(statement);

    /// <summary>The name of a column, counted from 0.</summary>
    public string Name(int column) => raw.sqlite3_column_name(statement, column).utf8_to_string();

    /// <summary>What a column of the row holds.</summary>
    public Kind TypeOf(int column) =>
        raw.sqlite3_column_type(statement, column) switch
        {
            raw.SQLITE_NULL => Kind.Nothing,
            raw.SQLITE_INTEGER => Kind.Number,
            raw.SQLITE_TEXT => Kind.Text,
            _ => Kind.Bytes,
        };

    /// <inheritdoc/>
    public void Dispose() => statement.Dispose();

    private void Check(int code)
    {
        if (code != raw.SQLITE_OK)
            throw database.Failure();
    }
}
