using System.Diagnostics;

namespace Mqtt5.Interop.Tests;

// A program that others wrote, run for a test. It ends in time, or it is killed and the test fails.
internal sealed class ForeignProgram : IAsyncDisposable
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(60);

    private readonly Process process;
    private readonly Task<string> errors;

    private ForeignProgram(Process process)
    {
        this.process = process;
        errors = process.StandardError.ReadToEndAsync();
    }

    // The folder of these tests' sources, where the scripts are.
    public static string Folder { get; } = Find();

    // What it prints, line by line.
    public StreamReader Output => process.StandardOutput;

    public StreamWriter Input => process.StandardInput;

    // Skips the test where the program is missing. Where the whole project is checked, that is a failure.
    public static void Need(bool isThere, string what)
    {
        if (isThere)
            return;

        Assert.False(Environment.GetEnvironmentVariable("CI") == "true", what);
        Assert.Skip(what);
    }

    public static string? Path(string name) =>
        (Environment.GetEnvironmentVariable("PATH") ?? "").Split(System.IO.Path.PathSeparator)
            .Select(folder => System.IO.Path.Combine(folder, name))
            .FirstOrDefault(File.Exists);

    public static ForeignProgram Start(string name, params string[] arguments)
    {
        var program = Path(name);
        Need(program is not null, $"{name} is not installed");
        return new ForeignProgram(Process.Start(new ProcessStartInfo(program!, arguments)
        {
            RedirectStandardError = true,
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
        })!);
    }

    // Runs it to its end, which has to be a good one, and gives what it printed.
    public static async Task<string> RunAsync(string name, params string[] arguments)
    {
        await using var program = Start(name, arguments);
        program.Input.Close();
        var output = await program.Output.ReadToEndAsync().WaitAsync(Patience);
        await program.EndAsync();
        return output;
    }

    public async Task<string[]> ReadLinesAsync(int count)
    {
        var lines = new string[count];

        for (var index = 0; index < count; index++)
            lines[index] = await Output.ReadLineAsync().WaitAsync(Patience) ?? throw new EndOfStreamException(await errors);

        return lines;
    }

    public async Task EndAsync()
    {
        await process.WaitForExitAsync().WaitAsync(Patience);
        Assert.True(process.ExitCode == 0, $"exit code {process.ExitCode}\n{await errors}");
    }

    // Ends it without a word to the broker.
    public void Kill() => process.Kill(entireProcessTree: true);

    public async ValueTask DisposeAsync()
    {
        if (!process.HasExited)
        {
            Kill();
            await process.WaitForExitAsync().WaitAsync(Patience);
        }

        process.Dispose();
    }

    private static string Find()
    {
        var folder = new DirectoryInfo(AppContext.BaseDirectory);

        while (!File.Exists(System.IO.Path.Combine(folder.FullName, "Mqtt5.sln")))
            folder = folder.Parent ?? throw new DirectoryNotFoundException("the folder of Mqtt5.sln");

        return System.IO.Path.Combine(folder.FullName, "tests", "Interop.Tests");
    }
}
