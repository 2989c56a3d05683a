using Fanfare.Gateway.Apis;

namespace Fanfare.Gateway.Tests.Apis;

/// <summary>Which API a request reaches by the host name that it came to.</summary>
public sealed class ApiDirectoryTests : IDisposable
{
    private const string First = "aaaaaaaaaaaaaaaaaaaaaaaaaa";
    private const string Second = "bbbbbbbbbbbbbbbbbbbbbbbbbb";

    private readonly ServedApis _apis = new();
    private readonly ApiDirectory _directory;

    public ApiDirectoryTests() => _directory = new ApiDirectory(
        [_apis.Create(First, domainNames: ["events.example.com"]), _apis.Create(Second, domainNames: ["Other.Example.com", "localhost.test"])]);

    public void Dispose() => _apis.Dispose();

    [Theory]
    // The id as first label, whatever follows.
    [InlineData(Second + ".appsync-api.eu-west-1.amazonaws.com", Second)]
    [InlineData(Second + ".appsync-realtime-api.eu-west-1.amazonaws.com", Second)]
    [InlineData(Second + ".localhost", Second)]
    [InlineData(First + ".localhost", First)]
    [InlineData("BBBBBBBBBBBBBBBBBBBBBBBBBB.localhost", Second)]
    // Custom domain names, in any case.
    [InlineData("events.example.com", First)]
    [InlineData("other.example.com", Second)]
    [InlineData("OTHER.EXAMPLE.COM", Second)]
    [InlineData("localhost.test", Second)]
    // Everything else is for the default API.
    [InlineData("", First)]
    [InlineData("localhost", First)]
    [InlineData("127.0.0.1", First)]
    [InlineData("[::1]", First)]
    [InlineData(".", First)]
    [InlineData("." + Second, First)]
    [InlineData(Second, First)]
    [InlineData("x." + Second + ".localhost", First)]
    [InlineData("x.other.example.com", First)]
    [InlineData("other.example.com.", First)]
    [InlineData("bbbbbbbbbbbbbbbbbbbbbbbbb.localhost", First)]
    public void A_host_reaches(string host, string expected) => Assert.Equal(expected, _directory.Find(host).Model.Id);

    [Fact]
    public void The_first_API_is_the_default_one()
    {
        Assert.Equal(First, _directory.Default.Model.Id);
        Assert.Equal([First, Second], _directory.All.Select(api => api.Model.Id));
    }

    [Theory]
    [InlineData(null, "")]
    [InlineData("", "")]
    [InlineData("localhost", "localhost")]
    [InlineData("localhost:8080", "localhost")]
    [InlineData("[::1]", "[::1]")]
    [InlineData("[::1]:8080", "[::1]")]
    [InlineData("127.0.0.1:80", "127.0.0.1")]
    [InlineData(":80", "")]
    public void A_host_is_read_without_its_port(string? header, string expected) =>
        Assert.Equal(expected, HostNames.WithoutPort(header).ToString());

    [Fact]
    public void Namespaces_are_found_by_their_exact_name()
    {
        var api = _apis.Create(namespaces: [new ChannelNamespace { Name = "Chat" }, new ChannelNamespace { Name = "news" }]);

        Assert.NotNull(api.FindNamespace("Chat"));
        Assert.NotNull(api.FindNamespace("news"));
        Assert.Null(api.FindNamespace("chat"));
        Assert.Null(api.FindNamespace(""));
    }
}
