using System.Runtime.Versioning;
using Mqtt5.Tests;

namespace Mqtt5.CliTests;

// mqtt5 passwd changes the content of the file, and none of its other attributes.
[UnsupportedOSPlatform("windows")]
public sealed class PasswordFileTests : IDisposable
{
    private const UnixFileMode GroupReadable = UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.GroupRead;
    private readonly string folder = Directory.CreateTempSubdirectory("mqtt5-passwd-").FullName;

    public PasswordFileTests() => Assert.SkipWhen(OperatingSystem.IsWindows(), "files have no modes, owners and links");

    private string FilePath => Path.Combine(folder, "passwords");

    public void Dispose() => Directory.Delete(folder, recursive: true);

    [Fact]
    public async Task A_new_file_is_for_its_owner_only_and_the_folder_holds_nothing_else()
    {
        Assert.Equal(0, (await SetAsync("anna")).ExitCode);
        Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite, File.GetUnixFileMode(FilePath));
        Assert.Equal([FilePath], Directory.GetFileSystemEntries(folder));
        Assert.StartsWith("anna:pbkdf2-sha512:", await File.ReadAllTextAsync(FilePath), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("")]
    [InlineData("--delete")]
    [ShowsOption("passwd", "--delete")]
    public async Task Mode_owner_and_group_stay(string delete)
    {
        await SetAsync("anna");
        await SetAsync("bob");
        File.SetUnixFileMode(FilePath, GroupReadable);
        var isRoot = Environment.UserName == "root";

        if (isRoot)
            Assert.Equal(0, (await Script.RunAsync("chown 12345:23456 $folder/passwords", null, folder)).ExitCode);

        var before = (await Script.RunAsync("ls -ln $folder/passwords | cut -d' ' -f1-4", null, folder)).Output;
        Assert.Equal(0, (await SetAsync("anna", delete)).ExitCode);
        Assert.Equal(before, (await Script.RunAsync("ls -ln $folder/passwords | cut -d' ' -f1-4", null, folder)).Output);
        Assert.True(!isRoot || before.Contains("12345 23456", StringComparison.Ordinal));
        Assert.Equal(delete == "" ? ["anna", "bob"] : ["bob"], await NamesAsync());
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task A_link_stays_and_its_target_changes(bool isHard)
    {
        await SetAsync("anna");
        var link = Path.Combine(folder, "link");
        var made = await Script.RunAsync($"cd $folder && ln {(isHard ? "" : "-s")} passwords link", null, folder);
        Assert.Equal(0, made.ExitCode);
        Assert.Equal(0, (await CommandInProcess.RunWithAsync("secret\n"u8.ToArray(), "passwd", link, "bob")).ExitCode);
        Assert.Equal(["anna", "bob"], await NamesAsync());
        Assert.Equal(await File.ReadAllTextAsync(FilePath), await File.ReadAllTextAsync(link));
        Assert.Equal(!isHard, new FileInfo(link).LinkTarget is not null);
    }

    [Fact]
    public async Task A_link_to_a_file_that_is_not_there_makes_that_file()
    {
        var link = Path.Combine(folder, "link");
        File.CreateSymbolicLink(link, FilePath);
        Assert.Equal(0, (await CommandInProcess.RunWithAsync("secret\n"u8.ToArray(), "passwd", link, "anna")).ExitCode);
        Assert.Equal(["anna"], await NamesAsync());
        Assert.NotNull(new FileInfo(link).LinkTarget);
    }

    [Fact]
    public async Task A_file_that_is_mounted_by_itself_changes()
    {
        Assert.SkipUnless(OperatingSystem.IsLinux(), "mounts are those of Linux");
        await SetAsync("anna");
        var run = await Script.RunAsync(
            """
            exec unshare --mount bash -c '
                cd $folder && : >mounted && mount --bind passwords mounted || exit 77
                echo secret | $mqtt5 passwd mounted bob || exit 1
                cut -d: -f1 mounted'
            """,
            null,
            folder);
        Assert.SkipWhen(run.ExitCode is 77 or 127 || run.Error.Contains("unshare", StringComparison.Ordinal), "this user may not mount");
        Assert.Equal("", run.Error);
        Assert.Equal("anna\nbob\n", run.Output);
        Assert.Equal(["anna", "bob"], await NamesAsync());
    }

    [Fact]
    public async Task Many_at_a_time_lose_no_entry()
    {
        var names = Enumerable.Range(0, 24).Select(number => $"name{number:00}").ToArray();
        var runs = await Task.WhenAll(names.Select(name => Task.Run(() => SetAsync(name, "--scram", "--iterations", "4096"))));
        Assert.All(runs, run => Assert.Equal("", run.Error));
        Assert.Equal(names, (await NamesAsync()).Order());
        Assert.Equal([FilePath], Directory.GetFileSystemEntries(folder));
    }

    [Fact]
    public async Task Two_processes_lose_no_entry()
    {
        var run = await Script.RunAsync(
            """
            for one in 1 2 3 4 5 6; do (echo secret | $mqtt5 passwd $folder/passwords name$one --scram --iterations 4096) & done; wait
            """,
            null,
            folder);
        Assert.Equal("", run.Error);
        Assert.Equal(["name1", "name2", "name3", "name4", "name5", "name6"], (await NamesAsync()).Order());
    }

    [Fact]
    public async Task A_reader_never_sees_half_a_file()
    {
        await SetAsync("anna", "--scram", "--iterations", "4096");
        using var ending = new CancellationTokenSource();
        var reading = Task.Run(
            () =>
            {
                var reads = 0;

                for (; !ending.IsCancellationRequested || reads == 0; reads++)
                {
                    var text = File.ReadAllText(FilePath);
                    Assert.StartsWith("anna:", text, StringComparison.Ordinal);
                    Assert.EndsWith("\n", text, StringComparison.Ordinal);
                }

                return reads;
            },
            CancellationToken.None);

        for (var number = 0; number < 30; number++)
            await SetAsync($"name{number}", "--scram", "--iterations", "4096");

        await ending.CancelAsync();
        Assert.True(await reading > 0);
    }

    [Fact]
    public async Task An_entry_stays_in_its_place_and_comments_stay()
    {
        await SetAsync("anna");
        await SetAsync("bob");
        await File.WriteAllTextAsync(FilePath, "# ours\n" + await File.ReadAllTextAsync(FilePath) + "\n# theirs");
        Assert.Equal(0, (await SetAsync("anna", "--scram")).ExitCode);
        var lines = await File.ReadAllLinesAsync(FilePath);
        Assert.Equal(["# ours", "anna:scram-sha-256", "bob:pbkdf2-sha512", "", "# theirs"], lines.Select(line => string.Join(':', line.Split(':').Take(2))));
    }

    [Theory]
    [InlineData("a broken line\n", "line 1 is not")]
    [InlineData("# \u00ff\n", "this is not UTF-8")]
    public async Task A_file_that_cannot_be_used_stays_as_it_is(string content, string message)
    {
        var bytes = System.Text.Encoding.Latin1.GetBytes(content);
        await File.WriteAllBytesAsync(FilePath, bytes);
        var run = await SetAsync("anna");
        Assert.Equal(2, run.ExitCode);
        Assert.StartsWith($"mqtt5: {FilePath}: {message}", run.Error, StringComparison.Ordinal);
        Assert.Equal(bytes, await File.ReadAllBytesAsync(FilePath));
    }

    [Fact]
    [ShowsOption("passwd", "--scram", "--iterations")]
    public async Task The_number_of_iterations_is_that_of_the_option()
    {
        await SetAsync("anna", "--scram", "--iterations", "5000");
        Assert.StartsWith("anna:scram-sha-256:5000:", await File.ReadAllTextAsync(FilePath), StringComparison.Ordinal);
        Assert.Contains("--iterations is a whole number from", (await SetAsync("anna", "--scram", "--iterations", "1")).Error, StringComparison.Ordinal);
    }

    // Lines of mosquitto_passwd, for the passwords one and two.
    [Fact]
    [ShowsOption("passwd", "--import")]
    public async Task Lines_of_mosquitto_are_imported_and_the_passwords_stay()
    {
        const string Anna = "anna:$7$101$ePFe0jv+z2rZZeyZ$Z7xd20nBmDsYMvj4DuVWs9ZHQTC/uswmRmiBY7pkaeRQG3WkX37WrklcQOlKDWZV1QoVFNyqlLXXkNd/76zv8A==";
        const string Bob = "bob:$6$6OBV8voaeKkGhFGD$gwdTP9w1v2d7Saq1xWMzxWD7VDUiKJ32IOBdWKzqvWDetksvV9YIfFCPv+hCVpuk/Ijing6PRoHY7JE8Q01Pcw==";
        await SetAsync("carl");
        await SetAsync("bob");
        var carl = (await File.ReadAllLinesAsync(FilePath))[0];
        var other = Path.Combine(folder, "mosquitto");
        await File.WriteAllTextAsync(other, $"# of mosquitto\n{Anna}\n{Bob}\n");
        var run = await CommandInProcess.RunAsync("passwd", FilePath, "--import", other);
        Assert.Equal((0, "imported 2 names, 1 of them in place of a line that was there\n"), (run.ExitCode, run.Output));
        Assert.Contains("set the password anew: anna bob", run.Error, StringComparison.Ordinal);
        Assert.Equal([carl, Bob, Anna], await File.ReadAllLinesAsync(FilePath));
        await using var broker = await BrokerProcess.StartAsync("--port", "0", "--password-file", FilePath);

        foreach (var (name, password) in new[] { ("anna", "one"), ("bob", "two"), ("carl", "secret") })
        {
            var options = MqttClientOptions.For(broker.Address);
            options.Credentials = MqttCredentials.Of(name, password);
            await using var client = await MqttClient.ConnectAsync(options).WaitAsync(TimeSpan.FromSeconds(60));
        }
    }

    [Theory]
    [InlineData("anna:$argon2id$v=19$m=12288,t=3,p=1$c2FsdA$aGFzaA", "line 2", "--import")]
    [InlineData("anna:plain", "line 2", "--import")]
    [InlineData("# a comment", "there are no names in it", "--import")]
    [InlineData(null, "Could not find file", "--import")]
    [InlineData("# a comment", "neither NAME nor --delete nor --scram", "anna", "--import")]
    [InlineData("# a comment", "neither NAME nor --delete nor --scram", "--delete", "--import")]
    public async Task An_import_that_cannot_be_done_changes_nothing(string? line, string message, params string[] more)
    {
        await SetAsync("carl");
        var before = await File.ReadAllTextAsync(FilePath);
        var other = Path.Combine(folder, "mosquitto");

        if (line is not null)
            await File.WriteAllTextAsync(other, $"# a comment\n{line}\n");

        var run = await CommandInProcess.RunAsync(["passwd", FilePath, .. more, other]);
        Assert.Equal(2, run.ExitCode);
        Assert.Contains(message, run.Error, StringComparison.Ordinal);
        Assert.Equal(before, await File.ReadAllTextAsync(FilePath));
    }

    [Fact]
    public async Task A_name_or_an_import_is_needed()
    {
        var run = await CommandInProcess.RunAsync("passwd", FilePath);
        Assert.Equal(2, run.ExitCode);
        Assert.Contains("NAME is missing", run.Error, StringComparison.Ordinal);
    }

    private Task<CommandOutcome> SetAsync(string name, params string[] more) =>
        CommandInProcess.RunWithAsync("secret\n"u8.ToArray(), ["passwd", FilePath, name, .. more.Where(one => one.Length > 0)]);

    private async Task<string[]> NamesAsync() =>
        [.. (await File.ReadAllLinesAsync(FilePath)).Select(line => line.Split(':')[0])];
}
