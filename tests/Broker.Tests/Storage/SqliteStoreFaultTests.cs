using System.Security.Cryptography;
using Microsoft.Data.Sqlite;
using Mqtt5.Storage;

namespace Mqtt5.BrokerTests.Storage;

// A store that cannot be used is refused with what is wrong and where, and not a byte of it changes.
public sealed class SqliteStoreFaultTests : StoreFiles
{
    private static readonly string[] Names = ["store.db", "journal.db"];

    [Fact]
    public async Task Every_flipped_bit_is_found_or_changes_nothing()
    {
        await MakeAsync();
        var sound = await LinesAsync(Image(Folder));
        var random = new Random(5);
        var found = 0;

        foreach (var name in Names)
        {
            var bytes = await File.ReadAllBytesAsync(Path.Combine(Folder, name), Cancellation);

            for (var flip = 0; flip < 150; flip++)
            {
                var image = Image(Folder);
                var changed = bytes.ToArray();
                // A bit of each of the first bytes, and others anywhere.
                changed[flip < 100 ? flip : random.Next(bytes.Length)] ^= (byte)(1 << random.Next(8));
                found += await IsRefusedOrAsync(image, name, changed, sound) ? 1 : 0;
            }
        }

        Assert.InRange(found, 50, 300);
    }

    [Fact]
    public async Task Every_truncation_is_found()
    {
        await MakeAsync();
        var sound = await LinesAsync(Image(Folder));
        var random = new Random(6);

        foreach (var name in Names)
        {
            var bytes = await File.ReadAllBytesAsync(Path.Combine(Folder, name), Cancellation);

            foreach (var length in (int[])[0, 1, 15, 16, 99, 100, 4_095, 4_096, bytes.Length / 2, bytes.Length - 1, random.Next(bytes.Length)])
                Assert.True(await IsRefusedOrAsync(Image(Folder), name, bytes[..length], sound), $"{name} of {length} bytes");
        }
    }

    [Theory]
    [InlineData("store.db", 60, MqttStoreFault.Newer, "it has version 257, and this program reads up to 1")]
    [InlineData("journal.db", 60, MqttStoreFault.Newer, "it has version 257, and this program reads up to 1")]
    [InlineData("store.db", 68, MqttStoreFault.NotAStore, "it is a database of another application")]
    [InlineData("journal.db", 0, MqttStoreFault.NotAStore, "it is no file of SQLite, or its first bytes were changed")]
    public async Task A_newer_or_a_foreign_file_is_refused(string name, int offset, MqttStoreFault fault, string detail)
    {
        await MakeAsync();
        var path = Path.Combine(Folder, name);
        var bytes = await File.ReadAllBytesAsync(path, Cancellation);
        bytes[offset + (offset == 60 ? 2 : 0)] ^= 1;
        await File.WriteAllBytesAsync(path, bytes, Cancellation);
        var exception = await RefusedAsync(Folder);
        Assert.Equal((fault, path, detail), (exception.Fault, exception.Path, exception.Detail));
    }

    [Theory]
    [InlineData("store.db")]
    [InlineData("journal.db")]
    public async Task A_missing_file_is_damage(string name)
    {
        await MakeAsync();
        File.Delete(Path.Combine(Folder, name));
        var exception = await RefusedAsync(Folder);
        Assert.Equal((MqttStoreFault.Damaged, Path.Combine(Folder, name)), (exception.Fault, exception.Path));
        Assert.Contains("it is missing beside", exception.Detail, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_journal_of_another_store_is_damage()
    {
        await MakeAsync();
        var other = NewFolder();
        await using (await OpenAsync(other))
        {
        }

        File.Copy(Path.Combine(other, "journal.db"), Path.Combine(Folder, "journal.db"), overwrite: true);
        var exception = await RefusedAsync(Folder);
        Assert.Equal(MqttStoreFault.Damaged, exception.Fault);
        Assert.Contains("another store", exception.Detail, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_damaged_row_is_named()
    {
        await MakeAsync();
        Change(Folder, "store.db", "UPDATE queue SET packet = packet + 1 WHERE (session, ord) = (SELECT min(session), ord FROM queue)");
        var exception = await RefusedAsync(Folder);
        Assert.Equal(MqttStoreFault.Damaged, exception.Fault);
        Assert.Contains("table queue, row (", exception.Detail, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_missing_group_is_damage()
    {
        await using (var store = await OpenAsync(Folder))
        {
            for (var commit = 0; commit < 3; commit++)
                store.Commit(new RandomRecords(commit).NextGroup(2));

            var image = Image(Folder);

            Change(image, "journal.db", "DELETE FROM journal WHERE number = 2");
            var exception = await RefusedAsync(image);
            Assert.Equal(MqttStoreFault.Damaged, exception.Fault);
            Assert.Contains("table journal: row 2 is missing before 3", exception.Detail, StringComparison.Ordinal);
        }
    }

    [Fact]
    public async Task A_folder_of_something_else_is_refused_and_gets_no_file()
    {
        Directory.CreateDirectory(Folder);
        await File.WriteAllTextAsync(Path.Combine(Folder, "holiday.txt"), "sun", Cancellation);
        var exception = await RefusedAsync(Folder);
        Assert.Equal(MqttStoreFault.NotAStore, exception.Fault);
        Assert.Equal("it holds no store, and is not empty: there is holiday.txt", exception.Detail);
        Assert.Single(Directory.EnumerateFileSystemEntries(Folder));
    }

    [Fact]
    public async Task A_store_that_is_used_is_refused()
    {
        await using var owner = await OpenAsync(Folder);
        await using var other = new SqliteMqttStore(Folder, Options);
        var exception = await Assert.ThrowsAsync<MqttStoreException>(() => other.OpenAsync(Cancellation).AsTask());
        Assert.Equal(MqttStoreFault.InUse, exception.Fault);
        owner.Commit(new RandomRecords(1).NextGroup(3));
        await owner.DisposeAsync();
        await other.OpenAsync(Cancellation);
    }

    [Fact]
    public async Task A_damaged_store_is_set_aside_if_that_is_asked_for()
    {
        await MakeAsync();
        Change(Folder, "store.db", "UPDATE retained SET record = zeroblob(20) WHERE topic = (SELECT min(topic) FROM retained)");
        var bytes = await File.ReadAllBytesAsync(Path.Combine(Folder, "store.db"), Cancellation);
        var options = Options;
        options.WhenDamaged = MqttStoreDamage.SetAside;
        await using var store = new SqliteMqttStore(Folder, options);
        await store.OpenAsync(Cancellation);
        Assert.Empty(await ReadAsync(store));
        Assert.NotNull(store.SetAside);
        Assert.Equal(bytes, await File.ReadAllBytesAsync(store.SetAside, Cancellation));
        store.Commit(new RandomRecords(1).NextGroup(3));
    }

    [Fact]
    public async Task A_sound_store_is_not_set_aside()
    {
        await MakeAsync();
        var options = Options;
        options.WhenDamaged = MqttStoreDamage.SetAside;
        Assert.NotEmpty(await LinesAsync(Folder, options));
        Assert.DoesNotContain(Directory.EnumerateFiles(Folder), file => file.Contains("damaged", StringComparison.Ordinal));
    }

    [Fact]
    public async Task A_full_journal_loses_nothing_and_takes_the_same_group_later()
    {
        var options = Options;
        options.MostJournalPages = 40;
        var committed = new FoldedRecords();
        var records = new RandomRecords(4);
        await using var store = await OpenAsync(Folder, options);
        byte[] group;

        while (true)
        {
            group = records.NextGroup(20, mostPayloadBytes: 2_000);

            try
            {
                store.Commit(group);
                committed.Add(group);
            }
            catch (MqttStoreException exception)
            {
                Assert.Equal(MqttStoreFault.NoSpace, exception.Fault);
                break;
            }
        }

        Assert.Equal(committed.Lines(), await LinesAsync(Image(Folder)));
        Assert.Equal(MqttStoreFault.NoSpace, Assert.Throws<MqttStoreException>(() => store.Commit(group)).Fault);
        store.Settle();
        store.Commit(group);
        committed.Add(group);
        Assert.Equal(committed.Lines(), await LinesAsync(Image(Folder)));
    }

    [Fact]
    public async Task Full_tables_lose_nothing_and_stop_the_journal_at_its_bound()
    {
        var options = Options;
        options.MostTablePages = 30;
        options.SettlingInterval = TimeSpan.FromMilliseconds(20);
        options.MostUnsettledBytes = 300_000;
        var committed = new FoldedRecords();
        var payload = new byte[10_000];
        var group = new JournalGroup();

        await using (var store = await OpenAsync(Folder, options))
        {
            for (var order = 1L; ; order++)
            {
                group.Clear();

                if (order == 1)
                    group.Add(JournalRecord.NewBroker(StoredChange.NewSessionSet(new StoredOwner(new SessionId(1), ClientId.Of("c"), default, default, 1, ConnectionId.None, 3_600, default, default, default, default))));

                group.Add(new SessionId(1), [SqliteStoreTests.Kept(order, payload)]);
                var bytes = group.Seal().ToArray();

                try
                {
                    store.Commit(bytes);
                    committed.Add(bytes);
                }
                catch (MqttStoreException exception)
                {
                    Assert.Equal(MqttStoreFault.NoSpace, exception.Fault);
                    break;
                }

                Assert.InRange(order, 1, 200);
            }

            Assert.Equal(committed.Lines(), await LinesAsync(Image(Folder)));
        }

        Assert.Equal(committed.Lines(), await LinesAsync(Folder));
    }

    // Makes a store with rows in all tables and groups in the journal, and closes it.
    private async Task MakeAsync()
    {
        var made = NewFolder();
        await using var store = await OpenAsync(made);
        var records = new RandomRecords(21);

        for (var commit = 0; commit < 6; commit++)
            store.Commit(records.NextGroup(60));

        store.Settle();

        for (var commit = 0; commit < 3; commit++)
            store.Commit(records.NextGroup(60));

        // A copy by VACUUM has no log: all that there is stands in the files.
        await store.BackupAsync(Folder, Cancellation);
    }

    private static void Change(string folder, string file, string sql)
    {
        using var connection = new SqliteConnection($"Data Source={Path.Combine(folder, file)};Pooling=False");
        connection.Open();
        using var command = connection.CreateCommand();
        command.CommandText = sql;
        Assert.Equal(1, command.ExecuteNonQuery());
    }

    private static async Task<bool> IsRefusedOrAsync(string folder, string name, byte[] bytes, string[] sound)
    {
        await File.WriteAllBytesAsync(Path.Combine(folder, name), bytes, Cancellation);
        var before = Hashes(folder);

        try
        {
            await using var store = new SqliteMqttStore(folder, Options);
            await store.OpenAsync(Cancellation);
            Assert.Equal(sound, FoldedRecords.Of(await ReadAsync(store)).Lines());
            return false;
        }
        catch (MqttStoreException exception)
        {
            Assert.Contains(exception.Fault, (MqttStoreFault[])[MqttStoreFault.Damaged, MqttStoreFault.NotAStore, MqttStoreFault.Newer]);
            Assert.Equal(before, Hashes(folder));
            return true;
        }
    }

    private static async Task<MqttStoreException> RefusedAsync(string folder)
    {
        var before = Hashes(folder);
        await using var store = new SqliteMqttStore(folder, Options);
        var exception = await Assert.ThrowsAsync<MqttStoreException>(async () =>
        {
            await store.OpenAsync(Cancellation);
            await ReadAsync(store);
        });
        await store.DisposeAsync();
        Assert.Equal(before, Hashes(folder));
        return exception;
    }

    // The lock and the shared memory of SQLite hold no data.
    private static string[] Hashes(string folder) =>
        [.. Directory.EnumerateFiles(folder, "*.db").Order().Select(file => $"{file} {Convert.ToHexString(SHA256.HashData(File.ReadAllBytes(file)))}")];
}
