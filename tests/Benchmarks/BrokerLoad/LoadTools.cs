using System.ComponentModel;
using System.Diagnostics;
using System.Text.Json;

namespace Mqtt5.Benchmarks;

/// <summary>The load generator and the null relay, built from C in a folder of their own.</summary>
internal sealed class LoadTools : IDisposable
{
    private static readonly TimeSpan Limit = TimeSpan.FromSeconds(90);

    private readonly DirectoryInfo folder = Directory.CreateTempSubdirectory("mqtt5-load-");

    /// <exception cref="InvalidOperationException">There is no C compiler, or it failed.</exception>
    public LoadTools()
    {
        Generator = Build("loadgen");
        Connections = Build("connections");
        Relay = Build("relay");
    }

    public string Generator { get; }

    /// <summary>The generator of connections that do nothing more.</summary>
    public string Connections { get; }

    public string Relay { get; }

    /// <summary>Builds them. Null: that is not possible here, and standard error tells why.</summary>
    public static LoadTools? TryBuild()
    {
        try
        {
            return new LoadTools();
        }
        catch (InvalidOperationException exception)
        {
            Console.Error.WriteLine(exception.Message);
            return null;
        }
    }

    public void Dispose() => folder.Delete(recursive: true);

    /// <summary>Puts a load on a broker. Null: messages were lost, or the broker refused the load.</summary>
    /// <param name="load">The load.</param>
    /// <param name="port">Where the broker listens.</param>
    /// <param name="messages">How many messages each publisher sends.</param>
    /// <param name="payloadBytes">The size of a payload; at least 8.</param>
    public LoadResult? Run(LoadKind load, int port, long messages, int payloadBytes = 16)
    {
        using var json = Measure(Generator, load.Title, load.Arguments(port, messages, payloadBytes));
        return json is null ? null : ResultOf(json.RootElement);
    }

    /// <summary>Runs a generator and gives what it says. Null: it failed, and standard error tells how.</summary>
    public static JsonDocument? Measure(string generator, string title, string[] arguments)
    {
        var (exitCode, output, error) = Execute(generator, arguments);

        if (exitCode == 0)
            return JsonDocument.Parse(output);

        Console.Error.WriteLine($"{title}: the load failed. {error.Trim()} {output.Trim()}");
        return null;
    }

    /// <summary>What the generator of messages says.</summary>
    public static LoadResult ResultOf(JsonElement result) =>
        new(
            result.GetProperty("delivered_s").GetDouble(),
            result.GetProperty("published_s").GetDouble(),
            result.GetProperty("p50_us").GetDouble() / 1000,
            result.GetProperty("p99_us").GetDouble() / 1000,
            result.GetProperty("p999_us").GetDouble() / 1000,
            result.GetProperty("gen_cpu_s").GetDouble());

    private static (int ExitCode, string Output, string Error) Execute(string program, string[] arguments)
    {
        using var process = Process.Start(new ProcessStartInfo(program, arguments)
        {
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        })!;
        var output = process.StandardOutput.ReadToEndAsync();
        var error = process.StandardError.ReadToEndAsync();

        if (!process.WaitForExit(Limit))
            process.Kill();

        process.WaitForExit();
        return (process.ExitCode, output.Result, error.Result);
    }

    /// <summary>Builds another program with a library of the system. Null: the library is not there, or cc failed.</summary>
    /// <param name="name">The name of the source, and of the program.</param>
    /// <param name="library">The option of the linker that names the library.</param>
    public string? TryBuild(string name, string library)
    {
        try
        {
            return Build(name, library);
        }
        catch (InvalidOperationException exception)
        {
            Console.Error.WriteLine(exception.Message);
            return null;
        }
    }

    private string Build(string name, params string[] libraries)
    {
        var source = Path.Combine(AppContext.BaseDirectory, "load", $"{name}.c");
        var program = Path.Combine(folder.FullName, name);

        try
        {
            var (exitCode, _, error) = Execute("cc", ["-O2", "-o", program, source, .. libraries]);
            return exitCode == 0
                ? program
                : throw new InvalidOperationException($"cc cannot build {source}:\n{error}");
        }
        catch (Win32Exception exception)
        {
            throw new InvalidOperationException(
                "The load generator is built with cc, and there is no C compiler on the path. On Debian: apt-get install gcc libc6-dev",
                exception);
        }
    }
}
