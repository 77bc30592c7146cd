using System.Reflection;

namespace Mqtt5.AspireTests;

// Where the build has put the programs that the tests start.
internal static class Built
{
    public static string Command => Find("mqtt5");

    public static string Orchestrator => Find("dcp");

    private static string Find(string name) =>
        typeof(Built).Assembly.GetCustomAttributes<AssemblyMetadataAttribute>().Single(one => one.Key == name).Value!;
}
