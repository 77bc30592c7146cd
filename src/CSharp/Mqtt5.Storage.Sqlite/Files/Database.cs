using Microsoft.Data.Sqlite;
using SQLitePCL;

namespace Mqtt5.Storage.Files;

/// <summary>A connection to a database file. It belongs to one thread at a time, and so do its statements.</summary>
internal sealed class Database : IDisposable
{
    // Before 3.51.3 a checkpoint could lose a write of another connection.
    private const int OldestLibrary = 3_051_003;

    private readonly SqliteConnection connection;
    private readonly List<Statement> statements = [];

    private Database(SqliteConnection connection, string path)
    {
        this.connection = connection;
        Path = path;
    }

    /// <summary>The file.</summary>
    public string Path { get; }

    /// <summary>What the library knows it by.</summary>
    public sqlite3 Handle => connection.Handle!;

    /// <summary>Opens a file that exists.</summary>
    /// <exception cref="MqttStoreException">It cannot be opened.</exception>
    public static Database Open(string path, bool isReadOnly)
    {
        var connection = new SqliteConnection(new SqliteConnectionStringBuilder
        {
            DataSource = path,
            Mode = isReadOnly ? SqliteOpenMode.ReadOnly : SqliteOpenMode.ReadWrite,
            // A connection that is closed has to have closed its files.
            Pooling = false,
        }.ToString());

        try
        {
            connection.Open();

            if (raw.sqlite3_libversion_number() < OldestLibrary)
                throw new PlatformNotSupportedException($"SQLite {raw.sqlite3_libversion().utf8_to_string()} loses writes; 3.51.3 is needed at least");

            var database = new Database(connection, path);
            raw.sqlite3_extended_result_codes(database.Handle, 1);
            // Another process may back the store up, and then holds the file for moments.
            raw.sqlite3_busy_timeout(database.Handle, 10_000);
            return database;
        }
        catch (SqliteException exception)
        {
            connection.Dispose();
            throw Faults.Of(exception.SqliteErrorCode, path, exception.Message);
        }
        catch
        {
            connection.Dispose();
            throw;
        }
    }

    /// <summary>Runs statements without results.</summary>
    public void Execute(string sql)
    {
        var code = raw.sqlite3_exec(Handle, sql);

        if (code != raw.SQLITE_OK)
            throw Failure();
    }

    /// <summary>The first column of the first row, as a number; 0: there is no row.</summary>
    public long Number(string sql)
    {
        using var statement = new Statement(this, sql);
        return statement.Step() ? statement.Number(0) : 0;
    }

    /// <summary>The first column of the first row, as text; null: there is no row.</summary>
    public string? Text(string sql)
    {
        using var statement = new Statement(this, sql);
        return statement.Step() ? statement.Text(0) : null;
    }

    /// <summary>A statement that is kept until the database is closed.</summary>
    public Statement Prepare(string sql)
    {
        var statement = new Statement(this, sql);
        statements.Add(statement);
        return statement;
    }

    /// <summary>Does all of some work, or none of it.</summary>
    public void InTransaction(Action work)
    {
        Execute("BEGIN IMMEDIATE");

        try
        {
            work();
            Execute("COMMIT");
        }
        catch
        {
            // Some errors have rolled back already.
            if (raw.sqlite3_get_autocommit(Handle) == 0)
                _ = raw.sqlite3_exec(Handle, "ROLLBACK");

            throw;
        }
    }

    /// <summary>What the library says of its last error.</summary>
    public MqttStoreException Failure() =>
        Faults.Of(raw.sqlite3_extended_errcode(Handle), Path, raw.sqlite3_errmsg(Handle).utf8_to_string());

    /// <inheritdoc/>
    public void Dispose()
    {
        foreach (var statement in statements)
            statement.Dispose();

        connection.Dispose();
    }
}
