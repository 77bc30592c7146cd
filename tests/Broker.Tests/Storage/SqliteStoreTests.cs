using Microsoft.Data.Sqlite;
using Mqtt5.Storage;

namespace Mqtt5.BrokerTests.Storage;

// What was committed comes back, whenever the process ends.
public sealed class SqliteStoreTests : StoreFiles
{
    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(3)]
    public async Task What_is_settled_and_what_is_replayed_come_to_the_same_as_all_at_every_commit(int seed)
    {
        var records = new RandomRecords(seed);
        var random = new Random(seed);
        var committed = new FoldedRecords();
        await using var store = await OpenAsync(Folder);

        for (var commit = 0; commit < 24; commit++)
        {
            var group = records.NextGroup(random.Next(1, 16));
            store.Commit(group);
            committed.Add(group);
            Assert.Equal(committed.Lines(), await LinesAsync(Image(Folder)));

            if (random.Next(2) > 0)
                continue;

            // The end between the settling and the deletion of what was settled: the tables of after, the journal of before.
            var before = Image(Folder);
            store.Settle();
            Assert.Equal(committed.Lines(), await LinesAsync(Image(Folder, journalOf: before)));
            Assert.Equal(committed.Lines(), await LinesAsync(Image(Folder)));
        }
    }

    [Fact]
    public async Task A_store_that_is_closed_and_opened_again_and_again_keeps_all()
    {
        var records = new RandomRecords(7);
        var committed = new FoldedRecords();

        for (var round = 0; round < 8; round++)
        {
            await using var store = new SqliteMqttStore(Folder, Options);
            await store.OpenAsync(Cancellation);
            Assert.Equal(committed.Lines(), FoldedRecords.Of(await ReadAsync(store)).Lines());

            for (var commit = 0; commit < 5; commit++)
            {
                var group = records.NextGroup(30);
                store.Commit(group);
                committed.Add(group);
            }
        }
    }

    [Fact]
    public async Task The_settling_thread_settles_by_itself()
    {
        var options = Options;
        options.SettlingInterval = TimeSpan.FromMilliseconds(20);
        var records = new RandomRecords(9);
        var committed = new FoldedRecords();
        await using var store = await OpenAsync(Folder, options);
        var group = records.NextGroup(50);
        store.Commit(group);
        committed.Add(group);
        await Waits.UntilAsync(() => Number(Folder, "store.db", "SELECT value FROM meta WHERE key = 'settled'") == 1);
        await Waits.UntilAsync(() => Number(Folder, "journal.db", "SELECT count(*) FROM journal") == 0);
        Assert.Equal(committed.Lines(), await LinesAsync(Image(Folder)));
    }

    [Fact]
    public async Task Messages_that_came_and_went_touch_no_table()
    {
        await using var store = await OpenAsync(Folder);
        var group = new JournalGroup();
        group.Add(new SessionId(1), [Kept(1), SessionChange.NewMoved(1, StoredPlace.NewSent(1)), SessionChange.NewGone(1)]);
        store.Commit(group.Seal().Span);
        store.Settle();
        Assert.Equal(0, Number(Folder, "store.db", "SELECT count(*) FROM queue"));
        Assert.Equal(0, Number(Folder, "journal.db", "SELECT count(*) FROM journal"));
    }

    // Writers that wait until there is room leave the gate meanwhile.
    [Fact]
    public async Task Groups_that_are_written_behind_by_two_threads_are_written_once_each()
    {
        var options = Options;
        options.Sync = MqttStoreSync.None;
        options.MostUnsettledBytes = 1_000;
        options.SettlingInterval = TimeSpan.FromMilliseconds(2);
        var records = new RandomRecords(7);
        var groups = Enumerable.Range(0, 200).Select(_ => records.NextGroup(10)).ToArray();

        await using (var store = await OpenAsync(Folder, options))
        {
            var committing = Task.Run(() => Array.ForEach(groups, group => store.Commit(group)), TestContext.Current.CancellationToken);

            while (!committing.IsCompleted)
                await Task.WhenAll(Task.Run(store.Settle), Task.Run(store.Settle));

            await committing;
            await Task.WhenAll(Task.Run(store.Settle), Task.Run(store.Settle));
            Assert.Equal(groups.Length, Number(Folder, "store.db", "SELECT value FROM meta WHERE key = 'settled'"));
        }

        Assert.Equal(FoldedRecords.Of([.. groups]).Lines(), await LinesAsync(Folder));
    }

    [Theory]
    [InlineData(MqttStoreSync.Interval)]
    [InlineData(MqttStoreSync.None)]
    public async Task With_other_sync_modes_the_files_have_all_soon(MqttStoreSync sync)
    {
        var options = Options;
        options.Sync = sync;
        options.SyncInterval = TimeSpan.FromMilliseconds(20);
        var group = new RandomRecords(3).NextGroup(40);
        await using var store = await OpenAsync(Folder, options);
        store.Commit(group);

        // With an interval, the operating system has it before the commit returns.
        if (sync == MqttStoreSync.Interval)
            Assert.Equal(1, Number(Folder, "journal.db", "SELECT count(*) FROM journal"));

        await Waits.UntilAsync(() => Number(Folder, "journal.db", "SELECT count(*) FROM journal") == 1);
        Assert.Equal(FoldedRecords.Of([group]).Lines(), await LinesAsync(Image(Folder)));

        if (sync == MqttStoreSync.Interval)
            await Waits.UntilAsync(() => Number(Folder, "journal.db", "SELECT value FROM meta WHERE key = 'synced'") == 1);
    }

    [Fact]
    public async Task A_backup_made_while_groups_are_committed_holds_all_before_it_and_no_gap()
    {
        var options = Options;
        options.SettlingInterval = TimeSpan.FromMilliseconds(1);
        var records = new RandomRecords(11);
        await using var store = await OpenAsync(Folder, options);
        var prefixes = new List<string> { "" };
        var all = new FoldedRecords();

        for (var backup = 0; backup < 6; backup++)
        {
            var target = NewFolder();
            var before = prefixes.Count - 1;
            var copying = store.BackupAsync(target, Cancellation).AsTask();

            do
            {
                var group = records.NextGroup(10);
                all.Add(group);
                prefixes.Add(string.Join('\n', all.Lines()));
                store.Commit(group);
            }
            while (!copying.IsCompleted);

            await copying;
            var restored = string.Join('\n', await LinesAsync(target));
            Assert.InRange(prefixes.LastIndexOf(restored), before, prefixes.Count - 1);
        }
    }

    [Fact]
    public async Task The_disk_gets_its_space_back()
    {
        var payload = new byte[100_000];
        var group = new JournalGroup();
        await using (var store = await OpenAsync(Folder))
        {
            for (var order = 1L; order <= 200; order++)
            {
                group.Clear();
                group.Add(new SessionId(1), [Kept(order, payload)]);
                store.Commit(group.Seal().Span);
            }

            store.Settle();
            Assert.InRange(Size(), 20_000_000, long.MaxValue);
            group.Clear();

            for (var order = 1L; order <= 200; order++)
                group.Add(new SessionId(1), [SessionChange.NewGone(order)]);

            store.Commit(group.Seal().Span);
            store.Settle();
        }

        await using (await OpenAsync(Folder))
        {
        }

        Assert.InRange(Size(), 1, 6_000_000);

        long Size() => Directory.EnumerateFiles(Folder).Sum(file => new FileInfo(file).Length);
    }

    [Fact]
    public async Task Queries_of_the_guide_read_a_store_that_is_used()
    {
        var group = new JournalGroup();
        group.Add(JournalRecord.NewBroker(StoredChange.NewSessionSet(new StoredOwner(
            new SessionId(1), ClientId.Of("anna"), default, default, 1, ConnectionId.None, 3_600, default, default, default, default))));
        group.Add(new SessionId(1), [Kept(1, "hello"u8.ToArray()), Kept(2, "world"u8.ToArray())]);
        await using var store = await OpenAsync(Folder);
        store.Commit(group.Seal().Span);
        store.Settle();
        using var connection = new SqliteConnection($"Data Source={Path.Combine(Folder, "store.db")};Mode=ReadOnly;Pooling=False");
        connection.Open();
        using var command = connection.CreateCommand();
        command.CommandText = "SELECT client, count(*), sum(bytes) FROM session JOIN queue ON session = id GROUP BY client";
        using (var row = command.ExecuteReader())
        {
            Assert.True(row.Read());
            Assert.Equal(("anna", 2L, 10L), (row.GetString(0), row.GetInt64(1), row.GetInt64(2)));
        }

        command.CommandText = "SELECT topic, CAST(payload AS TEXT) FROM queue WHERE session = 1 ORDER BY ord";
        using (var row = command.ExecuteReader())
        {
            Assert.True(row.Read());
            Assert.Equal(("t", "hello"), (row.GetString(0), row.GetString(1)));
        }
    }

    [Fact]
    public async Task Files_are_for_their_user_alone()
    {
        Assert.SkipWhen(OperatingSystem.IsWindows(), "Windows has no file modes.");
        await using var store = await OpenAsync(Folder, new SqliteMqttStoreOptions());
        store.Commit(new RandomRecords(1).NextGroup(3));

        if (!OperatingSystem.IsWindows())
        {
            Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute, File.GetUnixFileMode(Folder));

            foreach (var file in Directory.EnumerateFiles(Folder))
                Assert.Equal((file, UnixFileMode.UserRead | UnixFileMode.UserWrite), (file, File.GetUnixFileMode(file)));
        }

        Assert.Contains(Path.Combine(Folder, "journal.db-wal"), Directory.EnumerateFiles(Folder));
    }

    [Fact]
    public async Task Calls_in_the_wrong_order_are_refused()
    {
        await using var store = new SqliteMqttStore(Folder, Options);
        Assert.Throws<InvalidOperationException>(() => store.FreeBytes);
        Assert.Throws<InvalidOperationException>(() => store.Commit([1]));
        await store.OpenAsync(Cancellation);
        Assert.Throws<InvalidOperationException>(() => store.Commit([1]));
        await Assert.ThrowsAsync<InvalidOperationException>(() => store.OpenAsync(Cancellation).AsTask());
        await ReadAsync(store);
        await Assert.ThrowsAsync<InvalidOperationException>(() => ReadAsync(store));
        Assert.Throws<ArgumentException>(() => store.Commit([]));
        Assert.InRange(store.FreeBytes, 1, long.MaxValue);
    }

    internal static SessionChange Kept(long order, byte[]? payload = null) =>
        SessionChange.NewKept(
            order,
            StoredPlace.Waiting,
            StoredMessage.Read(new Outgoing(TopicName.Of("t"), Bytes.OfArray(payload ?? []), QoS.AtLeastOnce, false, PublishProperties.Empty, default, Ticket.None), default),
            default);

    private static long Number(string folder, string file, string sql)
    {
        using var connection = new SqliteConnection($"Data Source={Path.Combine(folder, file)};Mode=ReadOnly;Pooling=False");
        connection.Open();
        using var command = connection.CreateCommand();
        command.CommandText = sql;
        return command.ExecuteScalar() is long number ? number : 0;
    }
}
