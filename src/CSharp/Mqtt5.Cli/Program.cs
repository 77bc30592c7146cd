using Mqtt5.Cli;

// With room for a screen, so that what is drawn over on a terminal is seen as a whole and not in pieces.
using var output = new StreamWriter(StandardOutput.Open(), bufferSize: 32 * 1024);
var console = new Terminal(() => new StandardInput(), Console.IsInputRedirected, output, new ErrorWriter(Console.Error))
{
    IsOutputRedirected = Console.IsOutputRedirected,
};
return await CommandLineApplication.RunAsync(args, console);
